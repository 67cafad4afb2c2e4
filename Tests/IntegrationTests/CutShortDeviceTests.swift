import Foundation
import Platform
import Testing

/// The device's file is cut short under a mount.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CutShortDeviceTests {
  private static let size = 30 << 20

  /// A volume with `near` at 10 MiB and `far` from 12 to 42 MiB, cut to so many bytes.
  private func withLoss(
    at end: Int, mounting: [String] = [], _ body: (TestVolume, _ far: [UInt8]) throws -> Void
  ) throws {
    try withVolume(mounting: mounting) { volume in
      try volume.add("near", count: 1 << 20)
      let far = try volume.add("far", count: Self.size, seed: 2)
      let daemon = try volume.daemon()
      try retrying { truncate(volume.device, off_t(end)) }
      try body(volume, far)
      #expect(try volume.daemon() == daemon)
      #expect(Machine.isRunning(daemon))
      #expect(try FileStatus(path: volume.device).size == UInt64(end), "the device grew again")
      try volume.unmount()
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
    }
  }

  /// What the kernel says when it takes bytes from a mapping: the page that a program would be killed for.
  private func fault(mapping path: String, at offset: Int) throws -> Errno? {
    let file = try FileDescriptor(opening: path, .readOnly)
    let start = mmap(nil, Self.size, PROT_READ, MAP_SHARED, file.rawValue, 0)
    guard let start, start != MAP_FAILED else { throw Errno.current }
    defer { munmap(start, Self.size) }
    let pipe = try Platform.Spawn.pipe()
    defer { for end in [pipe.reading, pipe.writing] { close(end) } }
    return failure { write(pipe.writing, start + offset, 1) }
  }

  @Test("reads of the lost range give EIO and the rest still reads", arguments: ["never", "auto"])
  func half(cache: String) throws {
    let lost = 20 << 20  // of `far`, which begins at 12 MiB
    try withLoss(at: 32 << 20, mounting: ["--cache", cache]) { volume, far in
      let path = volume.master + "/far"
      let file = try FileDescriptor(opening: path, .readOnly)
      for offset in [lost, lost + 4095, Self.size - 1, 25 << 20] {
        #expect(throws: Errno.inputOutput, "at \(offset)") { try file.bytes(at: offset, count: 1) }
      }
      #expect(throws: Errno.inputOutput) { try file.bytes(at: lost - 100, count: 200) }
      let isSame = areSame(try file.bytes(at: 0, count: lost), Array(far[..<lost]))
      #expect(isSame)
      #expect(try fault(mapping: path, at: lost - 1) == nil)
      #expect(try fault(mapping: path, at: lost) == .badAddress)
      #expect(try fault(mapping: path, at: Self.size - 1) == .badAddress)
      expect(volume.master + "/near", holds: contents(1 << 20))
      #expect(try run(["cp", path, volume.room.at("copy")]).stderr.contains("Input/output error"))
      #expect(try run(["ls", volume.master]).stdout == "far\nnear\n")
    }
  }

  @Test("a program that touches a lost page through mmap gets SIGBUS", .enabled(if: Machine.hasPython, "needs python3"))
  func busError() throws {
    let script = """
      import mmap, sys
      file = open(sys.argv[1], 'rb')
      memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
      print(len(memory[:10]), flush=True)
      memory[int(sys.argv[2])]
      """
    try withLoss(at: 32 << 20) { volume, _ in
      let outcome = try run(["python3", "-c", script, volume.master + "/far", "\(25 << 20)"])
      #expect(outcome.status == 128 + SIGBUS)
      #expect(outcome.stdout == "10\n")
    }
  }

  @Test("writes into the lost range give EIO and do not make the device grow", arguments: ["never", "auto"])
  func writing(cache: String) throws {
    try withLoss(at: 32 << 20, mounting: ["--cache", cache]) { volume, _ in
      let file = try FileDescriptor(opening: volume.master + "/far", .readWrite)
      for count in [1, 4096, 1 << 20] {
        #expect(throws: Errno.inputOutput, "\(count)") { try file.put(contents(count), at: 24 << 20) }
      }
      let piece = contents(5000, seed: 9)
      #expect(try file.put(piece, at: 100) == 5000)
      #expect(try file.bytes(at: 100, count: 5000) == piece)
    }
  }

  @Test("famfs creat and cp into a device that was cut short fail in one line")
  func adding() throws {
    try withLoss(at: 32 << 20) { volume, _ in
      // The next free space is at 42 MiB.
      expectRefusal(try volume.famfs("creat", "-s", "4m", volume.master + "/new"), naming: ["new"])
      expectRefusal(try volume.famfs("cp", volume.room.at("source"), volume.master + "/new"), naming: ["device"])
      #expect(failure { access(volume.master + "/new", F_OK) } == .noEntry)
    }
  }

  @Test(
    "a device without its log, or without anything, fails every read and can be unmounted", arguments: [1 << 20, 0])
  func underTheLog(end: Int) throws {
    try withLoss(at: end) { volume, _ in
      for name in ["near", "far"] {
        let file = try FileDescriptor(opening: volume.master + "/" + name, .readOnly)
        #expect(throws: Errno.inputOutput) { try file.bytes(at: 0, count: 1) }
        #expect(throws: Errno.inputOutput) { try file.bytes(at: 500_000, count: 5000) }
      }
      let log = try FileDescriptor(opening: volume.master + "/.meta/.log", .readOnly)
      #expect(throws: Errno.inputOutput) { try log.bytes(at: 0, count: 100) }
      expectRefusal(try volume.famfs("mkdir", volume.master + "/new"), naming: ["log cannot be read"])
      let words = end == 0 ? [volume.device, "size 0"] : ["log cannot be read"]
      expectRefusal(try volume.famfs("creat", "-s", "1", volume.master + "/new"), naming: words)
      #expect(try run(["ls", volume.master]).stdout == "far\nnear\n")
    }
  }
}
