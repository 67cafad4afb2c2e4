import ControlChannel
import Famfs
import FamfsControl
import Fuse
import Glibc
import Memory
import Platform
import Serving
import Synchronization

/// One mounted volume in service: `start` mounts it, `waitForEnd` returns after the unmount.
///
/// One a process: the threads that it starts last as long as the process does.
public final class Daemon: Sendable {
  private let options: DaemonOptions
  private let log: DaemonLog
  private let volume: Volume
  private let device: MappedDevice
  private let folder: RunFolder
  private let settings: LiveSettings
  private let heartbeats: HeartbeatKeeper?
  /// What programs make on the mount; nil where they cannot.
  private let staging: Staging?
  private let publishing: Publishing?
  private let fileSystem: FamfsFileSystem
  private let kernel: FamfsProtocol
  private let mount: DaemonMount

  /// Opens the volume and takes its locks; nothing is mounted yet.
  /// - Throws: a sentence.
  public init(_ options: DaemonOptions) throws {
    self.options = options
    try MountPoint.prepare(options.mountPoint, type: MountedVolume.type, life: MountedVolume.life(of:))
    (volume, device) = try Daemon.open(options)
    folder = try RunFolder(of: .famfs, mounts: MountedVolume.all())
    log = DaemonLog(of: "famfs", isForeground: options.isForeground, name: options.device)
    mount = DaemonMount(at: options.mountPoint, log)
    do { try Daemon.check(options, volume) } catch {
      folder.remove()
      throw error
    }
    heartbeats =
      options.isStrict ? nil : HeartbeatKeeper(of: volume, on: device, host: try HostIdentity.systemUUID(), log: log)
    // Who asks for it means it, also where it costs shared mappings.
    let asked: CachePolicy? = options.coherence == .noncoherent ? .never : nil
    settings = LiveSettings(
      cache: options.cache ?? asked, lifetime: options.lifetime,
      coherence: options.coherence ?? Coherence(of: volume), namesGo: volume.isReclaiming)
    // What the kernel reads by itself nobody invalidates.
    let modes = options.coherence == .noncoherent ? [] : options.kernelMapModes
    var kernel = FamfsProtocol.none
    let kernelMaps = KernelMaps(
      of: volume, in: modes,
      kernel: {
        kernel = KernelProbes.running.famfsProtocol()
        return kernel
      })
    self.kernel = kernel
    let makesFiles = !options.isStrict && !options.isReadOnly
    staging = makesFiles ? Staging(of: volume, delay: options.commitDelay, limits: options.userLimits, log: log) : nil
    publishing = makesFiles ? Publishing(of: volume, log: log) : nil
    fileSystem = FamfsFileSystem(
      volume: volume, folder: folder.path, settings: settings, heartbeats: heartbeats, kernelMaps: kernelMaps,
      attributes: staging?.attributes)
  }

  deinit { folder.remove() }

  /// What cannot be mounted in this way.
  private static func check(_ options: DaemonOptions, _ volume: Volume) throws {
    if options.isStrict && volume.isReclaiming {
      throw FamfsError.other(
        "\(options.device): files of this volume can be removed, which the public famfs does not know; mount it without "
          + "strict")
    }
    if options.publishes && (options.isStrict || options.isReadOnly) {
      throw FamfsError.other("publish does not go with strict or ro: it adds to the volume; leave one of them out")
    }
    if options.publishes { try Publishing.checkMountKeeps(volume) }
  }

  /// Mounts and begins to serve.
  /// - Returns: once the mount answers, a line about it, and what else its user should know.
  /// - Throws: a sentence; then nothing is mounted.
  public func start() throws -> String {
    let (transport, mount) = try mount.begin(Daemon.mountOptions(options))
    do {
      // Before anything is answered: a program that can open a file can find this process.
      try folder.write(Daemon.record(of: mount, volume, device))
      let staged = staging.map { ServedSession(StagingFileSystem(over: fileSystem, $0), over: transport) }
      try startThreads(staged ?? ServedSession(fileSystem, over: transport), Notifier(transport), mount)
      try MountPoint.checkAnswers(options.mountPoint)
    } catch {
      stop()
      throw error
    }
    return Daemon.summary(of: volume, options) + (kernel == .pushed ? "\nwarning: \(KernelMaps.pushed)" : "")
  }

  /// Starts the threads that serve the mount. They last as long as the process.
  private func startThreads(_ session: ServedSession, _ notifier: Notifier, _ mount: Mount) throws {
    let (volume, staging, settings, heartbeats) = (volume, staging, settings, heartbeats)
    let (log, isStrict) = (log, options.isStrict)
    let start = Clock.monotonic()
    let activity = { @Sendable in
      var activity = session.activity()
      activity.uptime = Clock.monotonic() - start
      activity.staged = staging?.summary ?? StagedSummary()
      return activity
    }
    let status = { @Sendable in
      MountStatus(volume, mountedAs: mount.device, settings, isStrict: isStrict)
    }
    let control = FamfsControlService(
      volume: volume, staging: staging, heartbeats: heartbeats, publishing: publishing,
      isReadOnly: options.isReadOnly, isStrict: isStrict, settings: settings, activity: activity,
      forget: { (number) throws(Errno) in
        try notifier.invalidate(staging?.id(of: number) ?? NodeID(number))
      }, status: status)
    let server = try ControlServer(control, in: folder.path)
    let follower = Follower(
      volume: volume, staging: staging, settings: settings, notifier: notifier, log: log,
      beginsAtOnce: options.playsLog, looksByItself: !isStrict)
    if let staging { try Thread.detached(named: "famfs-staging") { staging.run() } }
    if let heartbeats {
      do { try heartbeats.begin() } catch { throw FamfsError.memory(options.device, error) }
      try Thread.detached(named: "famfs-heartbeat") { heartbeats.run() }
    }
    try Thread.detached(named: "famfs-control") { server.run() }
    try Thread.detached(named: "famfs-follow") { follower.run() }
    if options.publishes, let publishing { try Thread.detached(named: "famfs-publish") { publishing.run() } }
    try self.mount.serve(inThread: "famfs-session", session.run)
    let served = ServedMount(
      volume: volume, log: log, mount: mount,
      facts: {
        MountFacts(status: status(), devices: volume.devices(), peers: heartbeats?.peers ?? [], activity: activity())
      }, memory: { MemoryStatus(volume, settings.coherenceInEffect) })
    do { try HttpServer.start(HttpRoutes(served), in: folder.path) } catch { log.notice("\(error)") }
  }

  /// Unmounts, once the last file is closed, unless that has happened. Does not wait.
  public func stop() { mount.unmount() }

  /// Waits until the volume is unmounted, here or by umount(8), and then lets go of it. Call it once, after `start`.
  public func waitForEnd() {
    mount.waitForEnd()
    // The kernel unmounts when no file is open any more. Cut off, programs may have been amid writing.
    if mount.isUnmounted { staging?.commitRest(evenOpen: true) }
    // Cut off rather than unmounted, the mount point would answer errors for ever.
    stop()
    heartbeats?.end()
    folder.remove()
  }

  /// Mounts and serves until the unmount; SIGINT, SIGTERM and SIGHUP ask for that.
  /// - Parameter ready: called once the mount answers, with what `start` returns. When it throws, because no process waits for
  ///   the mount any more, it is unmounted.
  /// - Throws: a sentence, when nothing was mounted.
  public static func run(_ options: DaemonOptions, ready: (String) throws -> Void) throws {
    try serve(named: "famfs", ready: ready) { try Daemon(options) }
  }

  /// Tells the service manager, if this process is a service: one that `famfs mount` started is not.
  private func tellManager(_ lines: [String]) {
    guard options.isForeground, let manager = ServiceManager() else { return }
    do { try manager.tell(lines) } catch { log.warning("the service manager cannot be told \(lines[0]): \(error)") }
  }

  private static func record(
    of mount: Mount, _ volume: Volume, _ device: MappedDevice
  ) throws(FamfsError) -> MountRecord {
    guard let identity = (try? device.status()).flatMap({ DeviceIdentity($0) }) else {
      throw .other("\(device.path): the open device cannot be looked at any more")
    }
    return MountRecord(of: mount, by: .famfs, volume: volume.superblock.uuid, device: identity)
  }

  private static func mountOptions(_ options: DaemonOptions) -> MountOptions {
    var mount = MountOptions(source: options.device, subtype: "famfs")
    // Without the kernel's checks everybody who comes in may do everything.
    mount.allowOther = mount.allowOther && options.allowsOthers && options.checksPermissions
    mount.defaultPermissions = options.checksPermissions
    mount.isReadOnly = options.isReadOnly
    mount.allowsPrograms = options.allowsPrograms
    return mount
  }

  /// Opens the volume, and takes the locks that say so; they last as long as its device is open.
  private static func open(_ options: DaemonOptions) throws -> (Volume, MappedDevice) {
    let device = try MountLock.shared(options.device, writable: true)
    let search = DeviceSearch(named: options.furtherDevices, writable: true) { (device) throws(FamfsError) in
      do { try MountLock.take(MountLock.mounted, of: device, exclusive: false) } catch {
        throw .other("\(device.path) is being formatted or repaired at this moment")
      }
    }
    let volume = try Volume(
      on: device, host: try HostIdentity.systemUUID(), playing: options.playsLog, finding: search.find)
    if volume.role == .master {
      do { try MountLock.take(MountLock.master, of: device, exclusive: true) } catch {
        guard let mount = MountedVolume.of(device: options.device).first else {
          throw FamfsError.other(
            "\(options.device) is in use by a command of an earlier mount, or by a mount that cannot be seen from here; "
              + "wait until it ends")
        }
        throw FamfsError.other(
          "\(options.device) is mounted at \(mount.mountPoint) already, and a master mounts it once; use that mount")
      }
    }
    return (volume, device)
  }

  private static func summary(of volume: Volume, _ options: DaemonOptions) -> String {
    let usage = volume.usage()
    var line =
      "\(options.mountPoint): \(usage.entries) log entries; \(usage.files) files; "
      + "\(usage.directories) directories; this host is the volume's \(volume.role.rawValue)"
    let report = volume.report()
    if let problem = report.headerProblem { line += "\nwarning: \(problem); nothing can be added" }
    if let first = report.problems.first {
      line += "\nwarning: \(usage.problemCount) bad log entries, so nothing can be added; \(first)"
    }
    for device in report.devices { if let trouble = device.trouble { line += "\nwarning: \(trouble)" } }
    return line
  }
}

extension Daemon: MountDaemon {
  package func tell(_ news: MountNews) {
    let place = options.mountPoint
    switch news {
    case .isMounted: tellManager(["READY=1", "STATUS=\(options.device) is mounted at \(place)"])
    case .isAskedToStop:
      log.notice("asked to stop: unmounting \(place)")
      tellManager(["STOPPING=1", "STATUS=unmounting \(place), once its files are closed"])
    }
  }
}

/// A session, whatever its file system.
private struct ServedSession: Sendable {
  let run: @Sendable () throws -> Void
  /// What was asked for so far.
  let activity: @Sendable () -> MountActivity

  init(_ files: some FileSystem, over transport: DevFuse) {
    let session = Session(files, over: transport)
    run = { _ = try session.run(threads: max(2, processorCount())) }
    activity = {
      var activity = MountActivity()
      (activity.operations, activity.bytes) = (session.counts, session.bytes)
      return activity
    }
  }
}
