import Glibc
import Platform

/// What is mounted, and how.
public struct MountOptions: Equatable, Sendable {
  /// What `mount` and `df` show as the source: a device's path.
  public var source: String
  /// The type is `fuse.` and this, such as `famfs`.
  public var subtype: String
  /// Whether all writing is refused by the kernel.
  public var isReadOnly = false
  /// Whether programs on it may be run.
  public var allowsPrograms = true
  /// Whether the kernel checks permissions by mode bits, before it asks.
  public var defaultPermissions = true
  /// Whether users other than the one who mounts may enter. Users other than root may ask for it only where
  /// /etc/fuse.conf has `user_allow_other`.
  public var allowOther: Bool
  /// Read-ahead of the mount in bytes; nil for the kernel's default (128 KiB). Root only: others keep the default.
  public var readAhead: UInt32? = 1 << 20

  /// Options with `allowOther` for root and without it for others.
  public init(source: String, subtype: String) {
    self.source = source
    self.subtype = subtype
    allowOther = geteuid() == 0
  }
}

/// Mounting and unmounting of FUSE file systems.
public enum Mounting {
  /// Mounts on a directory: as root with mount(2), otherwise through fusermount3.
  ///
  /// Everything that touches the mount waits until a `Session` runs on the result, this process included.
  public static func mount(on mountPoint: String, _ options: MountOptions) throws(MountError) -> DevFuse {
    let path = try resolve(mountPoint)
    let descriptor = try geteuid() == 0 ? mountAsRoot(path, options) : Fusermount.mount(path, options)
    if let readAhead = options.readAhead { setReadAhead(path, readAhead) }
    return DevFuse(descriptor)
  }

  /// Unmounts: as root with umount2(2), otherwise through fusermount3.
  /// - Parameter lazily: whether one that is in use disappears at once and ends when it no longer is (MNT_DETACH).
  public static func unmount(_ mountPoint: String, lazily: Bool = false) throws(MountError) {
    guard geteuid() == 0 else { return try Fusermount.unmount(mountPoint, lazily: lazily) }
    let noFollow = Int32(8)  // UMOUNT_NOFOLLOW
    let detach = Int32(2)  // MNT_DETACH
    do throws(Errno) {
      do throws(Errno) {
        try retrying { umount2(mountPoint.cFileName, noFollow) }
      } catch .busy where lazily {
        try retrying { umount2(mountPoint.cFileName, noFollow | detach) }
      }
    } catch {
      throw .unmount(mountPoint, error)
    }
  }

  /// The directory's path without symbolic links, as the mount table has it.
  private static func resolve(_ mountPoint: String) throws(MountError) -> String {
    let path: String
    do throws(Errno) {
      path = try realPath(mountPoint)
      guard try FileStatus(path: path).kind == .directory else { throw Errno.notDirectory }
      // Of a FUSE mount whose server is gone stat(2) may answer from a cache, statfs(2) never does.
      var space = statvfs()
      try retrying { statvfs(path.cFileName, &space) }
    } catch {
      throw .mountPoint(mountPoint, error)
    }
    return path
  }

  private static func mountAsRoot(_ path: String, _ options: MountOptions) throws(MountError) -> FileDescriptor {
    let descriptor = try openDevice()
    var flags = UInt(MS_NOSUID | MS_NODEV)
    if options.isReadOnly { flags |= UInt(MS_RDONLY) }
    if !options.allowsPrograms { flags |= UInt(MS_NOEXEC) }
    let data = rootOptions(descriptor.rawValue, options)
    do throws(Errno) {
      try retrying { Glibc.mount(options.source.cFileName, path.cFileName, "fuse." + options.subtype, flags, data) }
    } catch {
      throw .mount(path, error)
    }
    return descriptor
  }

  static func rootOptions(_ descriptor: Int32, _ options: MountOptions) -> String {
    var data = "fd=\(descriptor),rootmode=40000,user_id=\(geteuid()),group_id=\(getegid())"
    if options.defaultPermissions { data += ",default_permissions" }
    if options.allowOther { data += ",allow_other" }
    return data
  }

  private static func openDevice() throws(MountError) -> FileDescriptor {
    do throws(Errno) {
      return try FileDescriptor(opening: DevFuse.path, .readWrite)
    } catch .noEntry {
      throw .deviceMissing
    } catch {
      throw .device(error)
    }
  }

  /// Sets the backing device's read-ahead, which INIT can lower but not raise. Best effort: it costs speed only. The
  /// device's number comes from the mount table, for stat(2) of the mount would wait for the session.
  private static func setReadAhead(_ path: String, _ bytes: UInt32) {
    guard let mount = try? Mount.all().last(where: { $0.mountPoint == path }) else { return }
    let file = "/sys/class/bdi/\(mount.device.major):\(mount.device.minor)/read_ahead_kb"
    var text = String(bytes / 1024)
    guard let descriptor = try? FileDescriptor(opening: file, .writeOnly) else { return }
    text.withUTF8 { try? descriptor.write(all: UnsafeRawBufferPointer($0)) }
  }
}
