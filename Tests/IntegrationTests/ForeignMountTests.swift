import Foundation
import Fuse
import Platform
import Testing

/// Mounts of other programs that say they are a famfs: what they call their device, and where they say that their files lie.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ForeignMountTests {
  private static let stranger: UInt32 = 65534

  @Test("a mount that is named like a device does not stand for it", arguments: [0, stranger])
  func names(user: UInt32) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      let foreign = try ForeignMount(at: room.directory("foreign"), source: volume.device, user: user)
      defer { foreign.end() }
      expectRefusal(try volume.famfs("status", volume.device), naming: [volume.device, "no mounted famfs"])
      expectRefusal(try volume.famfs("umount", volume.device), naming: [volume.device, "no mounted famfs"])
      try succeed(volume.famfs("takeover", "--force", volume.device))
      try succeed(volume.famfs("publish", volume.device))
      try succeed(volume.famfs("fsck", volume.device))
      let further = room.at("further")
      try succeed(run(["truncate", "-s", "32m", further]))
      try succeed(volume.famfs("devadd", volume.device, further))
      #expect(try mountPoint(of: volume) == "None\n")
      try volume.make(size: "32m", ["--force"])
      try volume.mount()
      let status = try volume.famfs("status", volume.device)
      try succeed(status)
      #expect(status.stdout.hasPrefix("\(volume.device) on \(volume.master)\n  role:        master\n"), "\(status)")
      #expect(!status.stdout.contains(foreign.path), "\(status)")
      #expect(try mountPoint(of: volume) == volume.master + "\n")
      // By its own name it says what it is.
      let named = try volume.famfs("status", foreign.path)
      #expect(named.stdout.contains(user == 0 ? "no famfs daemon" : "user \(user) mounted it"), "\(named)")
      for words in [["cp", further, foreign.path + "/f"], ["fsck", foreign.path], ["takeover", foreign.path]] {
        expectRefusal(
          try run(["famfs"] + words, environment: Host.master.environment),
          naming: [foreign.path, user == 0 ? "no famfs daemon" : "user \(user) mounted it"],
          status: words[0] == "fsck" ? 2 : 1)
      }
      expectRefusal(try volume.famfs("mount", volume.device, foreign.path), naming: [foreign.path, "mounted on it"])
      try succeed(volume.famfs("umount", volume.device))
      #expect(Mount.top(at: foreign.path) != nil && !volume.isMounted())
      try succeed(volume.famfs("umount", foreign.path))
      expectNothingRuns(in: room)
    }
  }

  /// Where libfamfs takes a volume's device to be mounted.
  private func mountPoint(of volume: TestVolume) throws -> String {
    if !Machine.hasPython { return volume.isMounted() ? volume.master + "\n" : "None\n" }
    let script = "import famfs, sys; print(famfs.Volume(sys.argv[1]).mount_point)"
    return try run(["python3", "-c", script, volume.device], environment: ForeignMountTests.python).stdout
  }

  private static let python = [
    "PYTHONPATH": Machine.sources + "/python", "PYTHONDONTWRITEBYTECODE": "1",
    "FAMFS_LIBRARY": Machine.programs + "/../lib/libfamfs.so",
  ]

  /// Maps the file `f` of a directory, by `famfs exec` and by libfamfs, and stores to it.
  /// - Returns: whether either mapped the device.
  private func store(to directory: String) throws -> Bool {
    let script = """
      import mmap, os, sys
      file = os.open(sys.argv[1] + "/f", os.O_RDWR)
      view = mmap.mmap(file, 4096)
      isDirect = any(line.rstrip().endswith("/device") for line in open("/proc/self/maps"))
      view[:5] = b"taken"
      view.flush()
      print(isDirect)
      """
    let exec = try run(["famfs", "exec", "python3", "-c", script, directory])
    try succeed(exec)
    let direct = "import famfs, sys; famfs.open(sys.argv[1] + '/f', writable=True, direct=True)[:5] = b'taken'"
    let library = try run(["python3", "-c", direct, directory], environment: ForeignMountTests.python)
    #expect(library.status == 0 || library.stderr.contains("Error"), "\(library)")
    return exec.stdout.contains("True") || library.status == 0
  }

  /// A volume's file, and what its mount says of it.
  private func withVictim(_ body: (_ volume: TestVolume, _ bytes: [UInt8], _ map: String) throws -> Void) throws {
    try withVolume { volume in
      let bytes = try volume.add("victim", count: 3_000_000)
      try volume.add("other", count: 3_000_000, seed: 2)
      var value = [UInt8](repeating: 0, count: 4096)
      let path = volume.master + "/victim"
      let count = try retrying { getxattr(path, "user.famfs.map", &value, value.count) }
      try body(volume, bytes, String(decoding: value[..<count], as: UTF8.self))
    }
  }

  @Test(
    "where its files lie is not believed of a mount of another user, or of one that no daemon serves",
    .enabled(if: Machine.hasPython, "needs python3"), arguments: [0, stranger])
  func unbelieved(user: UInt32) throws {
    try withVictim { volume, bytes, map in
      // The truth about another file.
      let liar = Liar(size: 3_000_000, map: Array(map.utf8))
      let foreign = try ForeignMount(
        at: volume.room.directory("foreign"), source: volume.device, user: user, serving: liar)
      defer { foreign.end() }
      #expect(try !store(to: foreign.path))
      expect(volume.master + "/victim", holds: bytes)
    }
  }

  @Test(
    "what a mount that is believed says of a file counts only where the log says the same",
    .enabled(if: Machine.hasPython, "needs python3"))
  func log() throws {
    try withVictim { volume, bytes, map in
      let before = try volume.everything()
      let lies = [
        map.replacing(/extent 0 \d+/, with: "extent 0 0"), map.replacing(/extent 0 \d+/, with: "extent 0 2097152"),
        map.replacing(/extent 0 \d+/, with: "extent 0 14680064"), map.replacing(/entry \d+/, with: "entry 1"),
        map.replacing(/entry \d+/, with: "entry 2"), map.replacing(/entry \d+/, with: "entry 99999999999"),
        map.replacing(/entry \d+\n/, with: ""), map.replacing(/size \d+/, with: "size 2999999"),
        map.replacing(/(?<head>extent 0 \d+) \d+/) { $0.head + " 8388608" },
        map.replacing(/chunk 0/, with: "chunk 2097152"),
      ]
      #expect(Set(lies + [map]).count == lies.count + 1, "\(map)")
      for lie in lies { #expect(try !stores(saying: lie, in: volume), "\(lie)") }
      #expect(try volume.everything() == before)
      // So it was believed, and the log is what refused the others.
      #expect(try stores(saying: map, in: volume))
      expect(volume.master + "/victim", holds: Array("taken".utf8) + bytes[5...])
      // Not a damaged log either, where it says that a file lies in the log.
      let media = Media(volume.device)
      let entry = Media.entry(try #require(map.firstMatch(of: /entry (\d+)/).flatMap { Int($0.1) }))
      try media.put(entry + 144, UInt64(Media.log))
      try media.seal(entry, 536, at: entry + 536)
      #expect(try !stores(saying: map.replacing(/extent 0 \d+/, with: "extent 0 \(Media.log)"), in: volume))
      #expect(try media.get(Media.log, 5) != Array("taken".utf8))
    }
  }

  @Test(
    "a record is believed of root's and own mounts only, and only if that user wrote it",
    .enabled(if: Machine.hasPython, "needs python3"))
  func records() throws {
    try withVictim { volume, bytes, map in
      let stranger = UInt32.random(in: 1_000_000_000..<2_000_000_000)
      let strangers = "/tmp/famfs-\(stranger)"
      try retrying { mkdir(strangers, 0o755) }
      defer { rmdir(strangers) }
      try retrying { chown(strangers, stranger, stranger) }
      for (user, directory) in [(stranger, strangers), (0, "/run/famfs")] {
        #expect(try !stores(saying: map, in: volume, as: user, record: (directory, stranger)), "\(user)")
      }
      expect(volume.master + "/victim", holds: bytes)
    }
  }

  @Test("a record stands for the mount that its daemon serves, and for no other")
  func numbers() throws {
    try withVolume { volume in
      let folder = try volume.folder()
      let status = try FileStatus(path: volume.device)
      let json = try volume.famfs("status", "--json", volume.master).stdout
      let uuid = try #require(json.firstMatch(of: /"volume_uuid": *"([^"]+)"/)?.1)
      for user in [0, ForeignMountTests.stranger] {
        let foreign = try ForeignMount(
          at: volume.room.directory("foreign"), source: "any", user: user, serving: Liar(size: 1, map: []))
        defer { foreign.end() }
        let lines = "volume \(uuid)\ndevice file \(status.device) \(status.inode)"
        try withRecord(of: foreign, saying: lines) { record in
          // The volume's daemon answers there.
          let link = String(record.dropLast(".record".count))
          try retrying { symlink(folder, link) }
          defer { unlink(link) }
          let named = try volume.famfs("status", foreign.path)
          #expect(!named.stdout.contains("master"), "\(named)")
          if user != 0 { #expect(try mountPoint(of: volume) != foreign.path + "\n") }
        }
      }
    }
  }

  /// Whether files are mapped directly of a mount that a record vouches for.
  private func stores(
    saying map: String, in volume: TestVolume, as user: UInt32 = 0,
    record: (directory: String, writer: UInt32) = ("/run/famfs", 0)
  ) throws -> Bool {
    let size = map.firstMatch(of: /size (\d+)/).flatMap { UInt64($0.1) } ?? 0
    let foreign = try ForeignMount(
      at: volume.room.directory("foreign"), source: "any", user: user, serving: Liar(size: size, map: Array(map.utf8)))
    defer { foreign.end() }
    return try withRecord(of: foreign, in: record.directory, by: record.writer) { _ in try store(to: foreign.path) }
  }

  /// Leaves a record of a mount, as a daemon that lives does.
  private func withRecord<Result>(
    of foreign: ForeignMount, in directory: String = "/run/famfs", by writer: UInt32 = 0,
    saying lines: String = "volume 00000000-0000-0000-0000-000000000000\ndevice char 1",
    _ body: (_ path: String) throws -> Result
  ) throws -> Result {
    let mount = try #require(Mount.top(at: foreign.path)).device
    let record = directory + "/mount-\(getpid())-\(mount.minor).record"
    let file = try FileDescriptor(opening: record, [.readWrite, .create, .exclusive], mode: 0o644)
    defer { unlink(record) }
    try retrying { fchown(file.rawValue, writer, writer) }
    try file.lock(byte: 0, exclusive: true)
    try file.write(
      """
      famfs mount 1
      mount \(mount.major):\(mount.minor)
      since \(Int64.max)
      \(lines)
      process 1

      """)
    return try body(record)
  }
}
