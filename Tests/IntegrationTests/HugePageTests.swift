import Foundation
import Platform
import Testing

/// Devices whose memory is mapped in large pages: where they are made, and that the pages are used.
@Suite(.realMounts, .serialized, .enabled(if: Machine.hasPython, "needs python3"), .timeLimit(.minutes(15)))
struct HugePageTests {
  private static let huge = 2 << 20

  /// What a program that maps a file sees: page faults, kilobytes in huge pages, and whether it is the file's bytes.
  private struct AbandonableCall: Decodable {
    let faults, huge: Int
    let isSame: Bool
  }

  private func look(at path: String, comparing source: String? = nil) throws -> AbandonableCall {
    let script = """
      import ctypes, json, os, resource, sys
      libc = ctypes.CDLL(None)
      libc.mmap.restype = ctypes.c_void_p
      libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
      file = os.open(sys.argv[1], os.O_RDWR)
      size = os.fstat(file).st_size
      other = open(sys.argv[2], "rb").read()
      place = libc.mmap(None, size, 3, 1, file, 0)
      memory = (ctypes.c_char * size).from_address(place)
      before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
      for offset in range(0, size, 4096): memory[offset]
      faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
      huge = inside = 0
      for line in open("/proc/self/smaps"):
          first = line.split()[0]
          if "-" in first and not first.endswith(":"):
              ends = [int(n, 16) for n in first.split("-")]
              inside = place <= ends[0] < place + size or ends[0] <= place < ends[1]
          elif inside and first in ("ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:"): huge += int(line.split()[1])
      print(json.dumps({"faults": faults, "huge": huge, "is_same": memory.raw == other}))
      """
    return try decode(run(["famfs", "exec", "--", "python3", "-c", script, path, source ?? path]))
  }

  /// Expects a file to be mapped in huge pages, but for its ends.
  /// - Parameter isAligned: whether it begins where a huge page of the device does.
  private func expectHuge(
    _ path: String, comparing source: String, size: Int, isAligned: Bool = true,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let seen = try look(at: path, comparing: source)
    let pieces = size / HugePageTests.huge - (isAligned ? 0 : 1)
    #expect(seen.isSame, "\(path)", sourceLocation: sourceLocation)
    #expect(seen.huge >= pieces * HugePageTests.huge / 1024, "\(path): \(seen)", sourceLocation: sourceLocation)
    // The rest of the file comes 16 pages at a time, and Python takes some memory for itself.
    let rest = (size - pieces * HugePageTests.huge) / 4096
    #expect(seen.faults <= pieces + rest + 24, "\(path): \(seen)", sourceLocation: sourceLocation)
  }

  private struct Status: Decodable {
    struct Mount: Decodable {
      struct Device: Decodable {
        let pageBytes: Int?
        let pageOrigin: String?
      }
      let devices: [Device]
    }
    let mounts: [Mount]
  }

  private func pages(of volume: TestVolume) throws -> Status.Mount.Device {
    let status: Status = try decode(volume.famfs("status", "--json", volume.master))
    return try #require(status.mounts.first?.devices.first)
  }

  /// Makes a file in each way there is, and expects each to be mapped in huge pages.
  private func fill(_ volume: TestVolume, isAligned: Bool = true) throws {
    let size = 5 * HugePageTests.huge + 4097
    let source = try volume.room.file("source", contents(size))
    try succeed(volume.famfs("cp", source, volume.master + "/copied"))
    try expectHuge(volume.master + "/copied", comparing: source, size: size, isAligned: isAligned)
    try succeed(
      run([
        "sh", "-c", "cat $1 | $0 cp --size \(size) - $2", Machine.program("famfs"), source, volume.master + "/piped",
      ]))
    try expectHuge(volume.master + "/piped", comparing: source, size: size, isAligned: isAligned)
    // In pieces in which the page boundaries do not lie where the writes do.
    try succeed(run(["dd", "if=" + source, "of=" + volume.master + "/written", "bs=300000", "status=none"]))
    try succeed(volume.famfs("commit", volume.master))
    try expectHuge(volume.master + "/written", comparing: source, size: size, isAligned: isAligned)
    let random = volume.master + "/random"
    try succeed(volume.famfs("creat", "-r", "-S", "5", "-s", "\(size)", random))
    try expectHuge(random, comparing: random, size: size, isAligned: isAligned)
    // Zeros that were never written, filled in place.
    try succeed(volume.famfs("creat", "-s", "\(size)", volume.master + "/filled"))
    try succeed(run(["dd", "if=" + source, "of=" + volume.master + "/filled", "bs=1M", "conv=notrunc", "status=none"]))
    try expectHuge(volume.master + "/filled", comparing: source, size: size, isAligned: isAligned)
    // In place once more, over what was there.
    try succeed(volume.famfs("cp", source, random))
    try expectHuge(random, comparing: source, size: size, isAligned: isAligned)
  }

  @Test("in a tmpfs with huge=always all files are mapped in huge pages, and status says so")
  func hugeTmpfs() throws {
    try withRoom { room in
      let volume = TestVolume(in: room, device: try room.tmpfs("huge", "huge=always,size=256m") + "/device")
      try volume.make(size: "128m")
      try volume.mount()
      let pages = try pages(of: volume)
      if pages.pageOrigin?.contains("denied") == true { try Test.cancel("huge pages are denied on this machine") }
      #expect(pages.pageBytes == HugePageTests.huge && pages.pageOrigin == "tmpfs, huge=always")
      #expect(try volume.famfs("status").stdout.contains("  pages:       2 MiB (tmpfs, huge=always)\n"))
      try fill(volume)
      // Zeros are holes, in which a store finds a huge page, too; and the rest of a page is zeroed, not cut out.
      let zeros = try room.file("zeros", [UInt8](repeating: 0, count: 2 * HugePageTests.huge + 5))
      try succeed(volume.famfs("creat", "-s", "\(2 * HugePageTests.huge + 5)", volume.master + "/zeros"))
      try expectHuge(volume.master + "/zeros", comparing: zeros, size: 2 * HugePageTests.huge + 5)
      // What was never written is zeros already, and takes no page.
      let before = try FileStatus(path: volume.device).allocated
      for number in 0..<5 { try succeed(volume.famfs("creat", "-s", "1m", volume.master + "/z\(number)")) }
      #expect(try FileStatus(path: volume.device).allocated == before)
      try volume.unmount()
      #expect(try run(["famfs", "fsck", volume.device]).status == 0)
    }
  }

  @Test(
    "in a tmpfs of small pages what is written gets huge ones, and small files take no more than they need",
    arguments: ["2m", "4k"])
  func gathered(unit: String) throws {
    try withVolume(size: "256m", ["--alloc-unit", unit]) { volume in
      let pages = try pages(of: volume)
      guard pages.pageBytes == HugePageTests.huge else {
        try Test.cancel("\(pages.pageOrigin ?? "nobody knows the pages")")
      }
      try fill(volume, isAligned: unit == "2m")
      let before = try FileStatus(path: volume.device).allocated
      let small = try volume.room.file("small", contents(5000))
      for number in 0..<20 {
        try succeed(volume.famfs("cp", small, volume.master + "/c\(number)"))
        try succeed(run(["cp", small, volume.master + "/p\(number)"]))
      }
      try succeed(volume.famfs("commit", volume.master))
      let taken = try FileStatus(path: volume.device).allocated - before
      if pages.pageOrigin?.contains("where files are written") == true { #expect(taken < 2 << 20, "\(taken)") }
    }
  }

  /// Has the machine set huge pages apart for as long as a test runs.
  private func withHugePages(_ count: Int, _ body: () throws -> Void) throws {
    let setting = "/proc/sys/vm/nr_hugepages"
    let before = firstLine(of: setting).flatMap { Int($0) } ?? 0
    func set(_ count: Int) -> Bool {
      guard let file = try? FileDescriptor(opening: setting, .writeOnly) else { return false }
      return (try? file.write("\(count)\n")) != nil && firstLine(of: setting) == "\(count)"
    }
    defer { _ = set(before) }
    guard set(before + count) else { try Test.cancel("this machine sets no huge pages apart") }
    try body()
  }

  @Test("a device on hugetlbfs takes its pages at once, says what is missing, and is used like any other")
  func hugetlbfs() throws {
    try withHugePages(48) {
      try withRoom { room in
        let place = room.directory("huge")
        let mounted = try run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M,size=128m", "none", place])
        if mounted.status != 0 { try Test.cancel("hugetlbfs cannot be mounted: \(mounted.stderr)") }
        let volume = TestVolume(in: room, device: place + "/device")
        let odd = try run(["mkfs.famfs", "--size", "33555000", volume.device], environment: Host.master.environment)
        expectRefusal(odd, naming: [volume.device, "multiple", "2097152"])
        let large = try run(["mkfs.famfs", "--size", "32g", volume.device], environment: Host.master.environment)
        expectRefusal(large, naming: [volume.device, "huge pages", "free"])
        #expect(access(volume.device, F_OK) != 0)
        try volume.make(size: "64m")
        try volume.mount()
        let pages = try pages(of: volume)
        #expect(pages.pageBytes == HugePageTests.huge && pages.pageOrigin?.hasPrefix("hugetlbfs") == true)
        let source = try room.file("source", contents(5_000_001))
        try succeed(volume.famfs("cp", source, volume.master + "/copied"))
        try succeed(run(["cp", source, volume.master + "/written"]))
        try succeed(volume.famfs("commit", volume.master))
        for name in ["/copied", "/written"] {
          try succeed(run(["cmp", source, volume.master + name]))
          try expectHuge(volume.master + name, comparing: source, size: 5_000_001)
        }
        let direct = """
          import famfs, sys
          try: print(famfs.open(sys.argv[1], direct=True) == open(sys.argv[2], "rb").read())
          except OSError as error: print(error.errno)
          """
        let open = { (file: String) in
          try run(
            ["python3", "-c", direct, file, source],
            environment: [
              "PYTHONPATH": Machine.sources + "/python", "PYTHONDONTWRITEBYTECODE": "1",
              "FAMFS_LIBRARY": Machine.programs + "/../lib/libfamfs.so",
            ])
        }
        #expect(try open(volume.master + "/copied").stdout == "True\n")
        // A private copy would be of huge pages, of which a child may get none.
        let copy = """
          import mmap, os, sys
          file = os.open(sys.argv[1], os.O_RDONLY)
          copy = mmap.mmap(file, 0, access=mmap.ACCESS_COPY)
          copy[0] = 1
          def child(): copy[1] = copy[5000000] = 7; os._exit(copy[1])
          pid = os.fork()
          if pid == 0: child()
          print(os.wait()[1] >> 8, copy[0], "/huge/" in open("/proc/self/maps").read())
          """
        let copied = try run(["famfs", "exec", "python3", "-c", copy, volume.master + "/copied"])
        #expect(copied.stdout == "7 1 False\n", "\(copied)")
        // What is zeroed must not go back to those who wait for pages.
        try succeed(volume.famfs("creat", "-s", "4m", volume.master + "/zeros"))
        let zeros = try run(["cmp", "-n", "4194304", volume.master + "/zeros", "/dev/zero"])
        #expect(zeros.status == 0, "\(zeros)")
        #expect(try FileStatus(path: volume.device).allocated == 64 << 20)
        try volume.unmount()
        try succeed(volume.famfs("fsck", volume.device))
        #expect(try open(volume.device + "/copied").stdout == "True\n")
        // Parts of huge pages cannot be mapped.
        try volume.make(size: "64m", ["--force", "--alloc-unit", "4k"])
        try volume.mount()
        try succeed(volume.famfs("cp", source, volume.master + "/copied"))
        #expect(try look(at: volume.master + "/copied", comparing: source).isSame)
        #expect(try open(volume.master + "/copied").stdout == "95\n")
        #expect(!(try volume.famfs("status", volume.master).stdout.contains("famfs exec")))
        try volume.unmount()
        try succeed(volume.famfs("fsck", volume.device))
      }
    }
  }

  @Test("mkfs.famfs says what helps when a file gets small pages")
  func small() throws {
    let path = "/var/tmp/weft-pages-\(UUID())"
    defer { unlink(path) }
    let folder = try FileDescriptor(opening: "/var/tmp", [.readOnly, .directory])
    if try HostFileSystem(of: folder).kind != .other { try Test.cancel("/var/tmp lies in memory") }
    let outcome = try run(["mkfs.famfs", "--size", "16m", path], environment: Host.master.environment)
    try succeed(outcome)
    #expect(outcome.complaints.count == 1, "\(outcome.stderr)")
    #expect(outcome.stderr.contains("\(path) has pages of 4 KiB: ") && outcome.stderr.contains("without a name"))
  }

  @Test(
    "devices that are made at one moment all are there: the place for them is mounted once",
    .enabled(if: geteuid() == 0, "needs root, to mount a tmpfs"))
  func atOnce() throws {
    let own = "/run/famfs/huge"
    if Mount.top(at: own) != nil { try Test.cancel("\(own) is mounted already") }
    defer { while umount(own) == 0 {} }
    for _ in 0..<10 {
      let script = "for i in 1 2 3 4 5 6; do $0 --size 16m 2> /dev/null & done; wait"
      let outcome = try run(
        ["sh", "-c", script, Machine.program("mkfs.famfs")], environment: Host.master.environment)
      let paths = outcome.stdout.split(separator: "\n").map(String.init)
      #expect(paths.count == 6, "\(outcome)")
      for path in paths { #expect(unlink(path) == 0, "\(path)") }
      #expect(Set(paths.map { $0.hasPrefix(own) }).count == 1, "\(paths)")
      #expect(try Mount.all().filter { $0.mountPoint == own }.count <= 1)
      umount(own)
    }
  }

  @Test("mkfs.famfs --size without a name finds a place, and prints where")
  func unnamed() throws {
    let own = "/run/famfs/huge"
    let wasThere = Mount.top(at: own) != nil
    func devices() -> Set<String> {
      let all = [own, "/dev/shm"].flatMap { (try? FileManager.default.contentsOfDirectory(atPath: $0)) ?? [] }
      return Set(all.filter { $0.hasPrefix("famfs-") })
    }
    let before = devices()
    defer { if !wasThere && umount(own) == 0 { rmdir(own) } }
    let outcome = try run(["mkfs.famfs", "--size", "16m"], environment: Host.master.environment)
    try succeed(outcome)
    let path = outcome.stdout.trimmingBlanks()
    defer { unlink(path) }
    #expect(outcome.stdout == path + "\n" && (path.hasPrefix(own + "/") || path.hasPrefix("/dev/shm/")), "\(outcome)")
    #expect(outcome.complaints.count == 1 && outcome.stderr.contains("\(path) has pages of "), "\(outcome)")
    #expect(try FileStatus(path: path).size == 16 << 20)
    try succeed(run(["famfs", "fsck", path], environment: Host.master.environment))
    let second = try run(["mkfs.famfs", "--size", "16m"], environment: Host.master.environment)
    defer { unlink(second.stdout.trimmingBlanks()) }
    #expect(second.status == 0 && second.stdout != outcome.stdout)
    let host = Host.master.environment
    let killed = try run(["mkfs.famfs", "--kill", "--size", "16m"], environment: host)
    expectRefusal(killed, naming: ["name one device"])
    let both = try run(["mkfs.famfs", "--kill", "--size", "16m", path + "-new"], environment: host)
    expectRefusal(both, naming: ["--kill", "--size"])
    #expect(access(path + "-new", F_OK) != 0)
    for other in ["/dev/shm", "/dev/null"] {
      let outcome = try run(["mkfs.famfs", "--size", "16m", other], environment: host)
      expectRefusal(outcome, naming: [other, "no plain file"])
      #expect(!outcome.stderr.contains("remove"), "nobody shall be told to remove \(other)")
    }
    let large = try run(["mkfs.famfs", "--size", "4194304t"], environment: host)
    expectRefusal(large, naming: ["room", "DEVICE"])
    let small = try run(["mkfs.famfs", "--size", "15m"], environment: host)
    expectRefusal(small, naming: ["15728640"])
    let made = try [path, second.stdout.trimmingBlanks()].map {
      try #require($0.split(separator: "/").last.map(String.init))
    }
    #expect(devices().subtracting(before) == Set(made))
  }
}
