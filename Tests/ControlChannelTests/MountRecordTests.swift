import Glibc
import Testing

@testable import ControlChannel
@testable import Platform

/// What a daemon writes about its mount, and what is read of such a file.
@Suite struct MountRecordTests {
  private static let service = ServiceName("famfs")
  private static let text = """
    famfs mount 1
    mount 0:53
    since 81237465123
    volume 2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21
    device file 25 1234
    process 4711

    """

  @Test("what is written is what is read")
  func whole() throws {
    let record = try #require(MountRecord(text: MountRecordTests.text, of: MountRecordTests.service))
    #expect(record.major == 0 && record.minor == 53 && record.since == 81_237_465_123 && record.process == 4711)
    #expect(record.device == .file(25, 1234))
    #expect("\(record.volume)" == "2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21")
    #expect(record.text == MountRecordTests.text)
    #expect(MountRecord(text: MountRecordTests.text, of: ServiceName("kfs")) == nil)
    for (line, device) in [("char 64512", DeviceIdentity.character(64512)), ("block 8", .block(8))] {
      let other = MountRecordTests.text.replacing("file 25 1234", with: line)
      #expect(MountRecord(text: other, of: MountRecordTests.service)?.device == device)
      #expect(MountRecord(text: other, of: MountRecordTests.service)?.text == other)
    }
  }

  @Test(
    "records are read that are the user's own, in the user's own directory", .enabled(if: geteuid() == 0, "needs root"))
  func owners() throws {
    let user = UInt32.random(in: 1_000_000_000..<2_000_000_000)
    let directory = "/tmp/famfs-\(user)"
    try retrying { mkdir(directory, 0o755) }
    defer { rmdir(directory) }
    let path = directory + "/" + RunDirectory.folderPrefix + "1" + MountRecord.suffix
    let file = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive], mode: 0o644)
    defer { unlink(path) }
    try file.write(MountRecordTests.text)
    func isFound(directory owner: UInt32, _ mode: UInt32 = 0o755, file writer: UInt32, _ bits: UInt32 = 0o644) -> Bool {
      chown(directory, owner, 0)
      chmod(directory, mode)
      chown(path, writer, 0)
      chmod(path, bits)
      return !FoundRecord.all(of: user, MountRecordTests.service).isEmpty
    }
    #expect(isFound(directory: user, file: user))
    #expect(!isFound(directory: 0, file: user))
    #expect(!isFound(directory: user, file: 0))
    #expect(!isFound(directory: user, 0o775, file: user))
    #expect(!isFound(directory: user, file: user, 0o646))
  }

  @Test(
    "a new mount with a dead mount's number is not dead while its daemon has not written its record",
    .enabled(if: geteuid() == 0, "needs root"))
  func numberUsedAgain() throws {
    let user = UInt32.random(in: 1_000_000_000..<2_000_000_000)
    let directory = "/tmp/famfs-\(user)"
    try retrying { mkdir(directory, 0o755) }
    let paths = ["1", "2"].map { directory + "/" + RunDirectory.folderPrefix + $0 + MountRecord.suffix }
    defer {
      for path in paths { unlink(path) }
      rmdir(directory)
    }
    let dead = try emptyRecord(paths[0], of: user)
    let new = try emptyRecord(paths[1], of: user)
    chown(directory, user, 0)
    try dead.write(MountRecordTests.text)
    let mount = try #require(Mount(line: "36 35 0:53 / /mnt rw - fuse.famfs /dev/x rw,user_id=\(user)"))
    func find(patience: UInt64 = 60_000_000_000, pause: () -> Void) -> FoundRecord? {
      FoundRecord.of(
        mount,
        among: FoundRecord.all(
          of: user, MountRecordTests.service, for: [mount], patience: patience, pause: pause))
    }
    #expect(find { Issue.record("no daemon is waited for") }?.isAlive == false)
    try new.lock(byte: 0, exclusive: true)
    #expect(find(patience: 0) {} == nil)
    var looks = 0
    let found = find {
      looks += 1
      if looks == 3 { try? new.write(MountRecordTests.text.replacing("process 4711", with: "process 4712")) }
    }
    #expect(found?.isAlive == true && found?.record.process == 4712 && looks == 3)
  }

  private func emptyRecord(_ path: String, of user: UInt32) throws -> FileDescriptor {
    let file = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive], mode: 0o644)
    chown(path, user, 0)
    return file
  }

  @Test(
    "what is not a whole record is none",
    arguments: [
      ("famfs mount 1", "famfs mount 2"), ("famfs mount 1\n", ""), ("0:53", "0"), ("0:53", "0:4294967296"),
      ("0:53", "0:-1"),
      ("since 81237465123\n", ""), ("since 8", "since x"), ("2e1bc9d6", "2e1bc9d"), ("file 25 1234", "file 25"),
      ("file 25 1234", "file 25 1234 5"), ("file 25 1234", "disk 25 1234"), ("4711", "0"), ("4711", "-4711"),
      ("4711", ""),
      (text, ""),
    ])
  func damaged(part: String, other: String) {
    #expect(MountRecord(text: MountRecordTests.text.replacing(part, with: other), of: MountRecordTests.service) == nil)
  }
}
