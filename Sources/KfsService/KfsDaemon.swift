import Blocks
import Ext4
import Fuse
import Glibc
import Platform
import Serving
import Synchronization

/// How an ext4 image or device is to be mounted.
public struct KfsOptions: Sendable {
  /// The image or device.
  public var device: String
  /// Where; an empty directory.
  public var mountPoint: String
  /// Where the file system begins in it, in bytes.
  public var offset: UInt64 = 0
  /// Bytes of metadata to keep in memory; nil for 256 MiB or a quarter of the memory, the smaller.
  public var cacheSize: UInt64?
  /// Whether a journal that must be replayed is left alone.
  public var skipsRecovery = false
  /// Whether programs on it may be run.
  public var allowsPrograms = true
  /// Whether other users than the one who mounts may come in; nil for what suits the user.
  public var allowsOthers: Bool?
  /// Says what happens on standard error.
  public var isForeground = false

  /// The usual options.
  public init(device: String, mountPoint: String) { (self.device, self.mountPoint) = (device, mountPoint) }
}

/// One mounted ext4 in service: `start` mounts it, `waitForEnd` returns after the unmount.
///
/// One a process: the threads that it starts last as long as the process does.
public final class KfsDaemon: Sendable {
  /// What /proc/mounts shows as the type.
  public static let type = "fuse.kfs"

  private let options: KfsOptions
  private let log: DaemonLog
  private let volume: Volume
  private let mount: DaemonMount

  /// Opens the image, which no other program can use from then on; nothing is mounted yet.
  /// - Throws: a sentence.
  public init(_ options: KfsOptions) throws {
    self.options = options
    try MountPoint.prepare(options.mountPoint, type: KfsDaemon.type) { _ in .answers }
    log = DaemonLog(of: "kfs", isForeground: options.isForeground, name: options.device)
    mount = DaemonMount(at: options.mountPoint, log)
    if !options.skipsRecovery { try KfsDaemon.recover(options, log) }
    let device = try FileDevice(opening: options.device, isWritable: false, offset: options.offset)
    var volumeOptions = Volume.Options()
    volumeOptions.cacheSize = Int(clamping: options.cacheSize ?? KfsDaemon.usualCacheSize)
    volumeOptions.skipsRecovery = options.skipsRecovery
    volume = try Volume(on: device, volumeOptions)
  }

  /// Replays the journal, also for a mount that is only read. Where the image cannot be written, opening the volume says so.
  private static func recover(_ options: KfsOptions, _ log: DaemonLog) throws {
    let needsRecovery = try FileDevice(opening: options.device, isWritable: false, offset: options.offset).needsRecovery
    guard needsRecovery else { return }
    let device: FileDevice
    do throws(BlockDeviceError) {
      device = try FileDevice(opening: options.device, isWritable: true, offset: options.offset)
    } catch {
      let unwritable: [Errno] = [.readOnlyFileSystem, .accessDenied, .notPermitted]
      if case .open(_, let reason) = error, unwritable.contains(reason) { return }
      throw error
    }
    guard let summary = try JournalRecovery.run(on: device) else { return }
    log.notice("the journal was replayed: \(summary.blocks) blocks of \(summary.transactions) transactions")
  }

  private static var usualCacheSize: UInt64 {
    let pages = UInt64(max(0, sysconf(Int32(_SC_PHYS_PAGES))))
    return min(256 << 20, pages * UInt64(pageSize) / 4)
  }

  /// Mounts and begins to serve.
  /// - Returns: once the mount answers, a line about it.
  /// - Throws: a sentence; then nothing is mounted.
  public func start() throws -> String {
    var mountOptions = MountOptions(source: options.device, subtype: "kfs")
    mountOptions.isReadOnly = true
    mountOptions.allowsPrograms = options.allowsPrograms
    if let allows = options.allowsOthers { mountOptions.allowOther = allows }
    let transport = try mount.begin(mountOptions).transport
    do {
      try serve(transport)
      try MountPoint.checkAnswers(options.mountPoint)
    } catch {
      stop()
      throw error
    }
    return summary
  }

  private func serve(_ transport: DevFuse) throws {
    let damage = DamageLog(log)
    let session = Session(KfsFileSystem(of: volume) { damage.note($0) }, over: transport)
    // They wait for the device, so there are more than processors.
    let threads = max(4, 2 * processorCount())
    try mount.serve(inThread: "kfs-session") { _ = try session.run(threads: threads) }
  }

  private var summary: String {
    let label = String(decoding: volume.superblock.volumeName.text, as: UTF8.self)
    var line = "\(options.mountPoint): ext4\(label.isEmpty ? "" : " \(label)"), mounted read-only"
    if volume.superblock.featureIncompat.contains(.recover) {
      line += "\nwarning: its journal was not replayed: files may be old or inconsistent"
    }
    if volume.superblock.state & 2 != 0 {
      line += "\nwarning: it is marked as having errors; unmount, and run e2fsck"
    }
    return line
  }

  /// Unmounts, once the last file is closed, unless that has happened. Does not wait.
  public func stop() { mount.unmount() }

  /// Waits until it is unmounted, here or by umount(8). Call it once, after `start`.
  public func waitForEnd() {
    mount.waitForEnd()
    // Cut off rather than unmounted, the mount point would answer errors for ever.
    stop()
  }

  /// Mounts and serves until the unmount; SIGINT, SIGTERM and SIGHUP ask for that.
  /// - Parameter ready: called once the mount answers, with what `start` returns. When it throws, because no process waits for
  ///   the mount any more, it is unmounted.
  /// - Throws: a sentence, when nothing was mounted.
  public static func run(_ options: KfsOptions, ready: (String) throws -> Void) throws {
    try serve(named: "kfs", ready: ready) { try KfsDaemon(options) }
  }
}

extension KfsDaemon: MountDaemon {
  package func tell(_ news: MountNews) {
    if news == .isAskedToStop { log.notice("asked to stop: unmounting \(options.mountPoint)") }
  }
}

extension BlockDevice {
  /// Whether it holds a file system whose journal must be replayed; false where there is none.
  fileprivate var needsRecovery: Bool {
    var bytes = InlineArray<1024, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    let isRead = span.withUnsafeMutableBytes { (try? read(at: Superblock.offset, into: $0)) != nil }
    return isRead && Superblock(parsing: bytes.span.bytes)?.featureIncompat.contains(.recover) == true
  }
}
