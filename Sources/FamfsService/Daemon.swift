import ControlChannel
import Famfs
import FamfsControl
import Fuse
import Glibc
import Memory
import Platform
import Serving
import Synchronization

/// Serves one mounted volume until it is unmounted.
public enum Daemon {
  /// Mounts and serves; returns after the unmount.
  /// - Parameter ready: called once the mount answers, with a line about it. When it throws, for nobody waits for the
  ///   mount any more, it is unmounted.
  /// - Throws: a sentence, when nothing was mounted.
  public static func run(_ options: DaemonOptions, ready: (String) throws -> Void) throws {
    let signals = StopSignals()  // blocked before the first thread starts, so that all threads inherit it
    try MountPoint.prepare(options.mountPoint, type: MountedVolume.type, life: MountedVolume.life(of:))
    let (volume, device) = try open(options)
    let folder = try RunFolder(mounts: MountedVolume.all())
    defer { folder.remove() }
    let log = DaemonLog(of: "famfs", isForeground: options.isForeground, name: options.device)
    if options.isStrict && volume.isReclaiming {
      throw FamfsError.other(
        "\(options.device): files of this volume can be removed, which the public famfs does not know; mount it without "
          + "strict")
    }
    if options.publishes && (options.isStrict || options.isReadOnly) {
      throw FamfsError.other("publish does not go with strict or ro: it adds to the volume; leave one of them out")
    }
    if options.publishes { try Publishing.checkMountKeeps(volume) }
    let heartbeats =
      options.isStrict ? nil : HeartbeatKeeper(of: volume, on: device, host: try HostIdentity.systemUUID(), log: log)
    let coherence = options.coherence ?? Coherence(of: volume)
    // Who asks for it means it, also where it costs shared mappings.
    let asked: CachePolicy? = options.coherence == .noncoherent ? .never : nil
    let settings = LiveSettings(
      cache: options.cache ?? asked, lifetime: options.lifetime, coherence: coherence,
      namesGo: volume.isReclaiming)
    // What the kernel reads by itself nobody invalidates.
    let modes = options.coherence == .noncoherent ? [] : options.kernelMapModes
    var kernel = FamfsProtocol.none
    let kernelMaps = KernelMaps(
      of: volume, in: modes,
      kernel: {
        kernel = KernelProbes.running.famfsProtocol()
        return kernel
      })
    let makesFiles = !options.isStrict && !options.isReadOnly
    let staging =
      makesFiles ? Staging(of: volume, delay: options.commitDelay, limits: options.userLimits, log: log) : nil
    let fileSystem = FamfsFileSystem(
      volume: volume, folder: folder.path, settings: settings, heartbeats: heartbeats, kernelMaps: kernelMaps,
      attributes: staging?.attributes)
    let transport = try Mounting.mount(on: options.mountPoint, mountOptions(options))
    guard let mount = Mount.top(at: options.mountPoint) else {
      throw FamfsError.other("\(options.mountPoint) was unmounted at once; is something else unmounting it?")
    }
    // Before anything is answered: a program that can open a file can find this process.
    do { try folder.write(record(of: mount, volume, device)) } catch {
      unmountOwn(mount, log)
      throw error
    }
    let living = staging.map { Serving(StagingFileSystem(over: fileSystem, $0), over: transport) }
    let serving = living ?? Serving(fileSystem, over: transport)
    let publishing = makesFiles ? Publishing(of: volume, log: log) : nil
    let hasEnded = Ended()
    let start = Clock.monotonic()
    let activity = { @Sendable in
      var activity = serving.activity()
      activity.uptime = Clock.monotonic() - start
      activity.staged = staging?.summary ?? StagedSummary()
      return activity
    }
    let status = { @Sendable in
      MountStatus(volume, mountedAs: mount.device, settings, isStrict: options.isStrict)
    }
    do {
      let notifier = Notifier(transport)
      let server = try ControlServer(
        volume: volume, staging: staging, heartbeats: heartbeats, publishing: publishing, folder: folder.path,
        isReadOnly: options.isReadOnly,
        isStrict: options.isStrict, settings: settings, activity: activity,
        forget: { (number) throws(Errno) in
          try notifier.invalidate(staging?.id(of: number) ?? NodeID(number))
        }, status: status)
      let follower = Follower(
        volume: volume, staging: staging, settings: settings, notifier: notifier, log: log,
        beginsAtOnce: options.playsLog,
        looksByItself: !options.isStrict)
      if let staging { try Thread.detached(named: "famfs-staging") { staging.run() } }
      if let heartbeats {
        do { try heartbeats.begin() } catch { throw FamfsError.memory(options.device, error) }
        try Thread.detached(named: "famfs-heartbeat") { heartbeats.run() }
      }
      // These last as long as the process.
      try Thread.detached(named: "famfs-control") { server.run() }
      try Thread.detached(named: "famfs-follow") { follower.run() }
      if options.publishes, let publishing { try Thread.detached(named: "famfs-publish") { publishing.run() } }
      try Thread.detached(named: "famfs-session") {
        do { try serving.run() } catch { log.error("the session ended: \(error)") }
        hasEnded.flag.store(true, ordering: .releasing)
        kill(getpid(), SIGUSR1)
      }
      let served = ServedMount(
        volume: volume, log: log, mount: mount,
        facts: {
          MountFacts(status: status(), devices: volume.devices(), peers: heartbeats?.peers ?? [], activity: activity())
        }, memory: { MemoryStatus(volume, settings.coherenceInEffect) })
      do { try HttpServer.start(HttpRoutes(served), in: folder.path) } catch { log.notice("\(error)") }
      try MountPoint.checkAnswers(options.mountPoint)
      try ready(summary(of: volume, options) + (kernel == .pushed ? "\nwarning: \(KernelMaps.pushed)" : ""))
      tellManager(["READY=1", "STATUS=\(options.device) is mounted at \(options.mountPoint)"], options, log)
    } catch {
      unmountOwn(mount, log)
      throw error
    }
    while !hasEnded.flag.load(ordering: .acquiring) {
      guard signals.wait() != SIGUSR1 else { continue }
      log.notice("asked to stop: unmounting \(options.mountPoint)")
      tellManager(["STOPPING=1", "STATUS=unmounting \(options.mountPoint), once its files are closed"], options, log)
      unmountOwn(mount, log)
    }
    // The kernel unmounts when no file is open any more. Cut off, programs may have been amid writing.
    if Mount.top(at: mount.mountPoint)?.device ?? (0, 0) != mount.device { staging?.commitRest(evenOpen: true) }
    // Cut off rather than unmounted, the mount point would answer errors for ever.
    unmountOwn(mount, log)
    heartbeats?.end()
  }

  private static func record(
    of mount: Mount, _ volume: Volume, _ device: MappedDevice
  ) throws(FamfsError) -> MountRecord {
    guard let identity = (try? device.status()).flatMap({ DeviceIdentity($0) }) else {
      throw .other("\(device.path): the open device cannot be looked at any more")
    }
    return MountRecord(of: mount, volume: volume.superblock.uuid, device: identity)
  }

  /// Tells the service manager, if this process is a service: one that `famfs mount` started is not.
  private static func tellManager(_ lines: [String], _ options: DaemonOptions, _ log: DaemonLog) {
    guard options.isForeground, let manager = ServiceManager() else { return }
    do { try manager.tell(lines) } catch { log.warning("the service manager cannot be told \(lines[0]): \(error)") }
  }

  /// Unmounts what this daemon has mounted, unless that has happened: then the place may be another's by now.
  private static func unmountOwn(_ mount: Mount, _ log: DaemonLog) {
    guard Mount.top(at: mount.mountPoint)?.device ?? (0, 0) == mount.device else { return }
    do { try Mounting.unmount(mount.mountPoint, lazily: true) } catch { log.error("\(error)") }
  }

  /// A session, whatever its file system.
  private struct Serving: Sendable {
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

  private final class Ended: Sendable {
    let flag = Atomic(false)
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
