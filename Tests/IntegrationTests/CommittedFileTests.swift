import Foundation
import Platform
import Testing

/// Files are written in place, and never change their size.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CommittedFileTests {
  private static let size = 5 << 20 + 123

  @Test("writes at odd places are seen by the other host, and are there after the next mount")
  func persist() throws {
    try withVolume(client: true) { volume in
      var bytes = try volume.add("file", count: Self.size)
      let seen = volume.client + "/file"
      #expect(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      expect(seen, holds: bytes)
      for (mount, other, seed) in [(volume.master, volume.client, 7), (volume.client, volume.master, 8)] {
        let file = try FileDescriptor(opening: mount + "/file", .readWrite)
        for (offset, count) in [(0, 1), (4090, 13), (2 << 20 - 5, 10), (3 << 20 + 1, 300_001), (Self.size - 9, 9)] {
          let piece = contents(count, seed: UInt64(seed + offset))
          #expect(try file.put(piece, at: offset) == count)
          bytes.replaceSubrange(offset..<offset + count, with: piece)
        }
        #expect(failure { fsync(file.rawValue) } == nil)
        #expect(failure { fdatasync(file.rawValue) } == nil)
        expect(mount + "/file", holds: bytes)
        expect(other + "/file", holds: bytes)
      }
      try volume.unmount(.client)
      try volume.unmount(.master)
      try volume.mount(.master)
      expect(volume.master + "/file", holds: bytes)
    }
  }

  @Test("writes past the end fail with EFBIG and change nothing", arguments: Host.allCases)
  func pastTheEnd(host: Host) throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("file", count: Self.size)
      let path = volume.mountPoint(of: host) + "/file"
      #expect(seconds(until: { access(path, F_OK) == 0 }) != nil)
      expect(path, holds: bytes)
      let before = try volume.everything()
      let file = try FileDescriptor(opening: path, .readWrite)
      let appending = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
      try #require(appending >= 0)
      defer { close(appending) }
      let zeros = [UInt8](repeating: 0, count: 10_000)
      for offset in [Self.size - 100, Self.size - 1, Self.size, Self.size + 1, 1 << 40, Int(Int64.max) - 20_000] {
        #expect(failure { pwrite(file.rawValue, zeros, zeros.count, off_t(offset)) } == .fileTooLarge, "at \(offset)")
      }
      #expect(failure { write(appending, zeros, 1) } == .fileTooLarge)
      #expect(failure { write(appending, zeros, zeros.count) } == .fileTooLarge)
      expect(path, holds: bytes)
      #expect(try file.status().size == UInt64(Self.size))
      #expect(try volume.everything() == before)
    }
  }

  // The kernel cuts long writes into requests, and those before the end are as good as any.
  @Test("a long write across the end stops before the end", arguments: ["never", "auto"])
  func longWrite(cache: String) throws {
    try withVolume(mounting: ["--cache", cache]) { volume in
      var bytes = try volume.add("file", count: Self.size)
      try volume.add("next", count: 100, seed: 2)
      let file = try FileDescriptor(opening: volume.master + "/file", .readWrite)
      let long = contents(4 << 20, seed: 3)
      let start = 2 << 20
      let written = (try? file.put(long, at: start)) ?? 0
      #expect(start + written <= Self.size)
      bytes.replaceSubrange(start..<start + written, with: long[..<written])
      expect(volume.master + "/file", holds: bytes)
      expect(volume.master + "/next", holds: contents(100, seed: 2))
    }
  }

  @Test("truncations fail with EPERM and change nothing, and one to the same size is fine", arguments: Host.allCases)
  func truncations(host: Host) throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("file", count: 10_000)
      let path = volume.mountPoint(of: host) + "/file"
      #expect(seconds(until: { access(path, F_OK) == 0 }) != nil)
      let before = try volume.everything()
      let file = try FileDescriptor(opening: path, .readWrite)
      for size in [0, 1, 9_999, 10_001, 1 << 40] {
        #expect(failure { ftruncate(file.rawValue, off_t(size)) } == .notPermitted, "to \(size)")
        #expect(failure { truncate(path, off_t(size)) } == .notPermitted, "to \(size)")
      }
      #expect(failure { ftruncate(file.rawValue, 10_000) } == nil)
      #expect(failure { open(path, O_RDWR | O_TRUNC | O_CLOEXEC) } == .notPermitted)
      #expect(try run(["cp", volume.room.at("source"), path]).status == 1)
      expect(path, holds: bytes)
      #expect(try volume.everything() == before)
    }
  }

  @Test("SEEK_DATA and SEEK_HOLE see one piece of data and the end")
  func seeking() throws {
    try withVolume { volume in
      try volume.add("file", count: 10_000)
      let file = try FileDescriptor(opening: volume.master + "/file", .readOnly)
      let (data, hole) = (Int32(3), Int32(4))
      #expect(lseek(file.rawValue, 0, data) == 0)
      #expect(lseek(file.rawValue, 5000, data) == 5000)
      #expect(lseek(file.rawValue, 0, hole) == 10_000)
      #expect(lseek(file.rawValue, 9_999, hole) == 10_000)
      #expect(failure { lseek(file.rawValue, 10_000, data) } == .noSuchAddress)
      #expect(failure { lseek(file.rawValue, 10_000, hole) } == .noSuchAddress)
      #expect(lseek(file.rawValue, -1, SEEK_END) == 9_999)
    }
  }

  @Test("on a strict mount, and on a client, chmod, chown and times hold until the unmount, and are this mount's alone")
  func ephemeral() throws {
    try withVolume(client: true, mounting: ["--strict"]) { volume in
      try volume.add("file", count: 10)
      try succeed(volume.famfs("logplay", volume.client, as: .client))
      let before = try volume.everything()
      let path = volume.master + "/file"
      let describe: (String) throws -> String = { try run(["stat", "-c", "%a %u %g %s", $0]).stdout }
      let was = try describe(path)
      #expect(failure { chmod(path, 0o4711) } == nil)
      #expect(failure { chown(path, 12, 34) } == nil)
      #expect(failure { chmod(path, 0o711) } == nil)
      let times = [timespec(tv_sec: 1_000_000, tv_nsec: 5), timespec(tv_sec: 2_000_000, tv_nsec: 6)]
      #expect(failure { utimensat(AT_FDCWD, path, times, 0) } == nil)
      #expect(try describe(path) == "711 12 34 10\n")
      #expect(try run(["stat", "-c", "%X %Y", path]).stdout == "1000000 2000000\n")
      #expect(try describe(volume.client + "/file") == was)
      #expect(failure { chmod(volume.client + "/file", 0o600) } == nil)
      #expect(try describe(path) == "711 12 34 10\n")
      try volume.unmount(.client)
      try volume.unmount(.master)
      #expect(try volume.everything() == before)
      try volume.mount(.master)
      #expect(try describe(path) == was)
      #expect(try run(["stat", "-c", "%Y", path]).stdout != "2000000\n")
    }
  }

  @Test("user.famfs.shadow names a folder that exists, and is not listed")
  func folder() throws {
    try withVolume(client: true) { volume in
      let folders = try Host.allCases.map { try volume.folder(of: $0) }
      #expect(Set(folders).count == 2)
      for folder in folders { #expect(try FileStatus(path: folder).kind == .directory) }
      #expect(listxattr(volume.master, nil, 0) == 0)
      #expect(failure { getxattr(volume.master, "user.other", nil, 0) } == .noData)
      // For these `ls -l` asks no second time: there are none on the whole mount.
      for name in ["security.selinux", "security.capability", "system.posix_acl_access", "system.posix_acl_default"] {
        #expect(failure { getxattr(volume.master, name, nil, 0) } == .notSupported, "\(name)")
      }
    }
  }
}
