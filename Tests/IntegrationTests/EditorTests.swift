import Foundation
import Platform
import Testing

/// Programs that change a file which the log has: they fail, and it is as it was, or they have done what they say.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct EditorTests {
  private static let old = "first line\nsecond line\nthe third line, which is a longer one\n"

  /// Runs a shell command on a committed file `$1`, on both hosts.
  /// - Parameter new: what the file may hold afterwards if the command says that it has done its work.
  private func edit(_ command: String, new: [String]) throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      for host in [Host.master, .client] {
        let folder = volume.mountPoint(of: host)
        let name = "file.\(host)"
        try write(Array(EditorTests.old.utf8), to: volume.master + "/" + name)
        try succeed(volume.famfs("commit", volume.master))
        let path = folder + "/" + name
        try #require(seconds(until: { access(path, F_OK) == 0 }) != nil)
        let outcome = try run(["sh", "-c", command, "sh", path], environment: ["HOME": volume.room.path])
        let found = String(decoding: try read(path), as: UTF8.self)
        // perl -i says what it cannot do, and its status is 0.
        let isRefused = outcome.status != 0 || !outcome.stderr.isEmpty
        let isSaved = outcome.status == 0 && new.contains(found)
        #expect(isSaved || isRefused && found == EditorTests.old, "\(command) on the \(host): \(found)\n\(outcome)")
        // Nothing is left beside it.
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
          .filter { $0 != ".meta" && !$0.hasPrefix("file.") }
        #expect(names.isEmpty, "\(command) on the \(host) leaves \(names)")
      }
    }
  }

  @Test(
    "vim saves a file that keeps its size, and says that it cannot save another",
    .enabled(if: Machine.has("vim"), "needs vim"),
    arguments: ["set backupcopy=yes", "set backupcopy=no", "set backupcopy=auto", "set nowritebackup"])
  func vim(_ setting: String) throws {
    let vim = "vim -u NONE -i NONE -N -es --cmd '\(setting)'"
    try edit("\(vim) '+%d' '+s/^/x/' '+w!' '+q!' \"$1\"", new: [])
    try edit("\(vim) '+2d' '+w!' '+q!' \"$1\"", new: [])
    try edit("\(vim) '+$t$' '+w!' '+q!' \"$1\"", new: [])
    let same = EditorTests.old.replacingOccurrences(of: "first", with: "FIRST")
    try edit("\(vim) '+s/first/FIRST/' '+w!' '+q!' \"$1\"", new: [same])
  }

  @Test(
    "ed, sed and perl fail where they cannot save",
    arguments: [
      "printf '2d\\nw\\nq\\n' | ed -s \"$1\"", "sed -i 2d \"$1\"", "perl -i -ne 'print unless $. == 2' \"$1\"",
      "perl -e 'open(F, \"+<\", $ARGV[0]) or die; truncate(F, 0); print F \"x\\n\" or die; close F or die' \"$1\"",
      "echo x > \"$1\"", "cp /etc/hostname \"$1\"", "fallocate -l 1M \"$1\"",
    ])
  func others(_ command: String) throws {
    let program = command.contains(" | ed ") ? "ed" : command.split(separator: " ")[0]
    if !Machine.has(String(program)) { try Test.cancel("needs \(program)") }
    try edit(command, new: [])
  }

  @Test("through a handle whose truncation or growth was refused nothing is written, and through others it is")
  func handles() throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      try write(Array(EditorTests.old.utf8), to: volume.master + "/f")
      try succeed(volume.famfs("commit", volume.master))
      for host in [Host.master, .client] {
        let path = volume.mountPoint(of: host) + "/f"
        try #require(seconds(until: { access(path, F_OK) == 0 }) != nil)
        let (size, byte) = (EditorTests.old.utf8.count, [UInt8(ascii: "F")])
        let other = try FileDescriptor(opening: path, .readWrite)
        let file = try FileDescriptor(opening: path, .readWrite)
        for new in [0, size - 1, size + 1] {
          #expect(failure { ftruncate(file.rawValue, new) } == .notPermitted)
          #expect(failure { pwrite(file.rawValue, byte, 1, 0) } == .notPermitted)
        }
        let copy = FileDescriptor(owning: dup(file.rawValue))
        #expect(failure { pwrite(copy.rawValue, byte, 1, 0) } == .notPermitted)
        #expect(failure { pwrite(other.rawValue, byte, 1, 0) } == nil)
        // By name it is no handle's.
        #expect(failure { truncate(path, 0) } == .notPermitted)
        #expect(failure { pwrite(other.rawValue, byte, 1, 0) } == nil)
        #expect(failure { ftruncate(other.rawValue, size) } == nil)
        #expect(failure { pwrite(other.rawValue, byte, 1, 0) } == nil)
        if host == .master {
          #expect(posix_fallocate(other.rawValue, 0, size + 1) == EFBIG)
          #expect(failure { pwrite(other.rawValue, byte, 1, 0) } == .notPermitted)
        }
        let fresh = try FileDescriptor(opening: path, .readWrite)
        #expect(failure { pwrite(fresh.rawValue, byte, 1, 0) } == nil)
        #expect(String(decoding: try read(path), as: UTF8.self).dropFirst() == EditorTests.old.dropFirst())
      }
    }
  }
}
