import Foundation
import Platform
import Testing

/// How daemons end, and what they leave.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct DaemonTests {
  private func hasEnded(_ daemon: pid_t) -> Bool { seconds(until: { !Machine.isRunning(daemon) }) != nil }

  @Test("a daemon that is asked to stop unmounts and takes its folder away", arguments: [SIGTERM, SIGINT, SIGHUP])
  func asked(signal: Int32) throws {
    try withVolume(size: "16m") { volume in
      let (daemon, folder) = (try volume.daemon(), try volume.folder())
      kill(daemon, signal)
      #expect(hasEnded(daemon))
      #expect(!volume.isMounted())
      #expect(failure { access(folder, F_OK) } == .noEntry)
      #expect(try FileManager.default.contentsOfDirectory(atPath: volume.master) == [])
      try volume.mount()
    }
  }

  @Test(
    "umount(8) and fusermount3 end the daemon too, and the volume can be mounted again at once",
    arguments: [["umount"], ["umount", "-l"], ["fusermount3", "-u"], ["fusermount3", "-uz"]])
  func plainUnmount(words: [String]) throws {
    try withVolume(size: "16m") { volume in
      for _ in 0..<3 {
        let (daemon, folder) = (try volume.daemon(), try volume.folder())
        let unmount = { try run(words + [volume.master]).status == 0 }
        #expect(try seconds(until: unmount) != nil)
        try volume.mount()
        #expect(hasEnded(daemon))
        #expect(failure { access(folder, F_OK) } == .noEntry)
      }
    }
  }

  @Test("the mount of a daemon that was killed gives ENOTCONN, and the next mount cleans up", arguments: Host.allCases)
  func killed(host: Host) throws {
    try withVolume(size: "16m", client: true) { volume in
      let bytes = try volume.add("file", count: 100)
      let mount = volume.mountPoint(of: host)
      let (daemon, folder) = (try volume.daemon(of: host), try volume.folder(of: host))
      kill(daemon, SIGKILL)
      #expect(hasEnded(daemon))
      #expect(failure { access(mount + "/file", F_OK) } == Errno(rawValue: ENOTCONN))
      let refused = try volume.famfs("creat", "-s", "1", mount + "/new", as: host)
      expectRefusal(refused, naming: [mount])
      try volume.mount(host)
      expect(mount + "/file", holds: bytes)
      #expect(Machine.mounts(in: volume.room.path).filter { $0 == mount }.count == 1)
      #expect(failure { access(folder, F_OK) } == .noEntry)
    }
  }

  @Test("a daemon is killed and the volume mounted again at once, amid a load of programs, time after time")
  func killedAgain() throws {
    try withVolume(size: "64m", ["--alloc-unit", "4k"]) { volume in
      // In the mount that dies: what is below it stays empty.
      let load = "cd $0 && while n=$((n + 1)); do echo $n > $$.$n || exit; cat *.$n; done"
      for round in 0..<8 {
        let program = try Child(["timeout", "600", "bash", "-c", load, volume.master])
        #expect(seconds(until: { (try? run(["ls", volume.master]))?.stdout.contains(".3") == true }) != nil)
        let path = volume.master + "/kept\(round)"
        let isKept = try volume.famfs("creat", "-s", "4096", "-r", "-S", "5", path).status == 0
        kill(try volume.daemon(), SIGKILL)
        try volume.mount()
        program.send(SIGKILL)
        _ = try program.wait()
        #expect(Machine.mounts(in: volume.room.path) == [volume.master])
        if isKept { try succeed(volume.famfs("verify", "-S", "5", "-f", path)) }
      }
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("a mount clears away no mount whose daemon lives, none that is not famfs, and all that are dead there")
  func clearsOnlyTheDead() throws {
    try withVolume(size: "16m") { volume in
      let other = TestVolume(in: volume.room)
      let device = volume.room.at("second")
      try succeed(run(["mkfs.famfs", "--size", "16m", device], environment: Host.master.environment))
      expectRefusal(try volume.famfs("mount", device, volume.master), naming: [volume.master, "already"])
      #expect(Machine.isRunning(try volume.daemon()))
      // Something else above a dead famfs is not ours to unmount.
      kill(try volume.daemon(), SIGKILL)
      try succeed(run(["mount", "-t", "tmpfs", "none", volume.master]))
      expectRefusal(try volume.famfs("mount", device, volume.master), naming: [volume.master, "already"])
      #expect(Machine.mounts(in: volume.room.path) == [volume.master, volume.master])
      #expect(umount2(volume.master, 0) == 0)
      try succeed(volume.famfs("mount", device, other.master))
      #expect(Machine.mounts(in: volume.room.path) == [volume.master])
    }
  }

  @Test("a daemon whose name is taken has another, and folders without records go when their processes are gone")
  func takenNames() throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      // More than any process's number, and this process's.
      let (dead, living) = ("/run/famfs/mount-4194305.\(getpid())", "/run/famfs/mount-\(getpid()).1")
      for folder in [dead, living] { try retrying { mkdir(folder, 0o700) } }
      defer { for folder in [dead, living] { rmdir(folder) } }
      // The shell's number is the daemon's, and its name is taken.
      let script = """
        mkdir /run/famfs/mount-$$; exec '\(Machine.program("famfs_fused"))' -d --daxdev '\(volume.device)' '\(volume.master)'
        """
      let child = try Child(["sh", "-c", script], environment: Host.master.environment)
      defer { rmdir("/run/famfs/mount-\(child.pid)") }
      try #require(seconds(until: { volume.isMounted() && (try? volume.folder()) != nil }) != nil)
      #expect(try volume.folder() == "/run/famfs/mount-\(child.pid).1")
      #expect(try volume.daemon() == child.pid)
      #expect(access(dead, F_OK) != 0 && access(living, F_OK) == 0)
      try succeed(volume.famfs("status", volume.master))
      try volume.unmount()
      try succeed(child.wait())
      #expect(access("/run/famfs/mount-\(child.pid).1", F_OK) != 0)
    }
  }

  @Test("famfs umount takes away the mount of a daemon that was killed")
  func killedAndUnmounted() throws {
    try withVolume(size: "16m") { volume in
      let daemon = try volume.daemon()
      kill(daemon, SIGKILL)
      #expect(hasEnded(daemon))
      try volume.unmount()
      #expect(!volume.isMounted())
    }
  }

  @Test("a mount in use is not unmounted, unless lazily: then it ends with its last file")
  func busy() throws {
    try withVolume(size: "16m") { volume in
      let bytes = try volume.add("file", count: 5000)
      let daemon = try volume.daemon()
      do {
        let file = try FileDescriptor(opening: volume.master + "/file", .readOnly)
        expectRefusal(try volume.famfs("umount", volume.master), naming: [volume.master, "in use", "fuser"])
        #expect(volume.isMounted())
        #expect(try file.bytes(at: 0, count: 5000) == bytes)
        try succeed(volume.famfs("umount", "--lazy", volume.master))
        #expect(!volume.isMounted())
        #expect(try file.bytes(at: 100, count: 100) == Array(bytes[100..<200]))
        #expect(Machine.isRunning(daemon))
      }
      #expect(hasEnded(daemon))
    }
  }

  @Test("famfs umount takes a mount point or a device, and is gone when it returns")
  func unmounting() throws {
    try withVolume(size: "16m") { volume in
      for name in [volume.device, volume.master, volume.master + "/", volume.master + "/."] {
        let isUnmounted = { try volume.famfs("umount", name).status == 0 }
        #expect(try seconds(until: isUnmounted) != nil, "\(name)")
        #expect(!volume.isMounted())
        try volume.mount()
      }
    }
  }

  @Test("of several mounts by the master at the same time one succeeds")
  func race() throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      let places = (0..<4).map { volume.room.directory("place\($0)") }
      let mounts = try places.map {
        try Child(["famfs", "mount", volume.device, $0], environment: Host.master.environment)
      }
      let outcomes = try mounts.map { try $0.wait() }
      #expect(outcomes.filter { $0.status == 0 }.count == 1)
      for outcome in outcomes where outcome.status != 0 {
        expectRefusal(outcome, naming: [volume.device, "mounts it once"])
      }
      let place = try #require(Machine.mounts(in: volume.room.path).first)
      try succeed(volume.famfs("umount", place))
    }
  }

  @Test("a daemon holds no file of whoever mounted it")
  func inheritance() throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      let held = volume.room.at("held")
      let script = "exec 7>'\(held)'; exec '\(Machine.program("famfs"))' mount '\(volume.device)' '\(volume.master)'"
      try succeed(run(["sh", "-c", script], environment: Host.master.environment))
      let files = "/proc/\(try volume.daemon())/fd"
      let targets = try FileManager.default.contentsOfDirectory(atPath: files).compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: files + "/" + $0)
      }
      #expect(targets.contains(volume.device))
      #expect(!targets.contains(held))
    }
  }

  @Test("/proc/mounts shows the device, the mount point and a famfs")
  func mountTable() throws {
    try withVolume(size: "16m") { volume in
      let table = String(decoding: try readSmallFile("/proc/mounts"), as: UTF8.self).split(separator: "\n")
      let line = try #require(table.first { $0.contains(volume.master) })
      #expect(line.hasPrefix("\(volume.device) \(volume.master) fuse.famfs "))
    }
  }

  @Test("mounts with spaces and other letters in their paths work")
  func oddPaths() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let (device, mount) = (room.at("the device\\ é"), room.directory("a mount\tpoint \\040 é"))
      try succeed(run(["mkfs.famfs", "--size", "16m", device], environment: Host.master.environment))
      try succeed(volume.famfs("mount", device, mount))
      let source = try room.file("a source", contents(10))
      try succeed(volume.famfs("cp", source, mount))
      try succeed(volume.famfs("mkdir", mount + "/-p", mount + "/é \n"))
      expect(mount + "/a source", holds: contents(10))
      #expect(try run(["ls", "-b", mount]).stdout == "-p\na\\ source\n\\303\\251\\ \\n\n")
      #expect(try volume.famfs("fsck", device).status == 16)
      try succeed(volume.famfs("umount", mount))
      try succeed(volume.famfs("fsck", device))
    }
  }

  @Test("a daemon that is a service tells its manager when it is ready and when it stops; another one is silent")
  func service() throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      let manager = try ServiceSocket(at: volume.room.at("notify"))
      let environment = Host.master.environment.merging(["NOTIFY_SOCKET": volume.room.at("notify")]) { $1 }
      try succeed(run(["famfs", "mount", volume.device, volume.master], environment: environment))
      try volume.unmount()
      let words = ["famfs", "mount", "--debug", volume.device, volume.master]
      let daemon = try Child(words, environment: environment)
      let ready = manager.next()
      #expect(ready == "READY=1\nSTATUS=\(volume.device) is mounted at \(volume.master)")
      #expect(try volume.daemon() == daemon.pid)
      try succeed(volume.famfs("mkdir", volume.master + "/new"))
      daemon.send(SIGTERM)
      #expect(manager.next()?.hasPrefix("STOPPING=1\nSTATUS=unmounting ") == true)
      #expect(try daemon.wait().status == 0)
      // A mount that fails tells nothing: its end does.
      let failed = try run(["famfs", "mount", "--debug", volume.device, "/none"], environment: environment)
      expectRefusal(failed, naming: ["/none"])
      #expect(manager.next(seconds: 0) == nil)
      // Without a listener the mount is served all the same.
      unlink(volume.room.at("notify"))
      let alone = try Child(words, environment: environment)
      #expect(seconds(until: { volume.isMounted() && access(volume.master + "/new", F_OK) == 0 }) != nil)
      try volume.unmount()
      let outcome = try alone.wait()
      #expect(outcome.status == 0 && outcome.stderr.contains("the service manager cannot be told READY=1"))
    }
  }

  @Test("the daemon by its own name stays in the foreground until it is asked to stop")
  func foreground() throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      let daemon = try Child(
        ["famfs_fused", "--daxdev", volume.device, volume.master], environment: Host.master.environment)
      #expect(seconds(until: { volume.isMounted() && access(volume.master + "/.meta", F_OK) == 0 }) != nil)
      try succeed(volume.famfs("mkdir", volume.master + "/new"))
      daemon.send(SIGTERM)
      let outcome = try daemon.wait()
      #expect(outcome.status == 0)
      #expect(outcome.stderr.contains(volume.master))
    }
  }
}
