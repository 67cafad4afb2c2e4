import Foundation
import Platform
import Testing

/// Volumes that EROFS reads: its own checker, and this kernel.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct PublishTests {
  private static let hasChecker = Machine.has("fsck.erofs") && Machine.has("dump.erofs")

  /// Whether this kernel can mount a plain file as EROFS.
  private static let kernelCanMount: Bool = {
    let types = (try? readSmallFile("/proc/filesystems")) ?? []
    let isKnown = String(decoding: types, as: UTF8.self).split(whereSeparator: \.isWhitespace).contains("erofs")
    return Machine.canMount && isKnown && (try? run(["losetup", "-f"]))?.status == 0
  }()

  /// What is compared of a file or directory.
  private struct Item: Equatable, CustomStringConvertible {
    let description: String

    init(_ path: String, isRoot: Bool) throws {
      var status = stat()
      try retrying { lstat(path, &status) }
      let isDirectory = status.st_mode & S_IFMT == S_IFDIR
      // A directory's size is the file system's own affair; the root has what the view does not show.
      let size = isDirectory ? 0 : status.st_size
      let (links, time) = isRoot ? (0, timespec()) : (status.st_nlink, status.st_mtim)
      description =
        "\(String(status.st_mode, radix: 8)) \(status.st_uid):\(status.st_gid) \(size) \(links) \(time.tv_sec).\(time.tv_nsec)"
    }
  }

  private func items(_ root: String) throws -> [String: Item] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: root)
      .filter { !$0.hasPrefix(".meta") && !$0.hasPrefix(".erofs-") }
    var items = ["": try Item(root, isRoot: true)]
    for name in names { items[name] = try Item(root + "/" + name, isRoot: false) }
    return items
  }

  /// Expects two trees to have the same names, attributes and bytes.
  private func expectSame(_ root: String, _ other: String) throws {
    let (items, others) = (try items(root), try items(other))
    #expect(Set(items.keys) == Set(others.keys))
    for (name, item) in items {
      #expect(others[name] == item, "\(name)")
      if item.description.hasPrefix("10") { expect(other + "/" + name, holds: try read(root + "/" + name)) }
    }
  }

  /// Files of all layouts, in directories of all sizes.
  private func fill(_ volume: TestVolume, chunks: String = "64k") throws {
    try succeed(volume.famfs("mkdir", "-p", volume.master + "/dir/deep/er", volume.master + "/-empty"))
    try volume.add("dir/plain", count: 3_000_001, seed: 1)
    try volume.add("dir/deep/er/one", count: 1, seed: 2)
    let source = try volume.room.file("striped", contents(9_500_000, seed: 3))
    try succeed(volume.famfs("cp", "-C", chunks, "-N", "4", "-B", "4", source, volume.master + "/striped"))
    for number in 0..<400 {
      try write([UInt8(number % 256)], to: volume.master + "/dir/a longer name, number \(number)")
    }
    // A program that another test starts at this moment has copies of this process's files until it runs.
    let isAll = try seconds(until: {
      try succeed(volume.famfs("commit", volume.master))
      return try volume.famfs("status", "--json", volume.master).stdout.contains("\"files\":403,")
    })
    try #require(isAll != nil)
    try retrying { chmod(volume.master + "/striped", 0o4751) }
    try retrying { chown(volume.master + "/dir", 12, 34) }
  }

  /// Mounts the device as another host does, without Weft: by a block device of its own, for a kernel has one EROFS of
  /// each.
  private func mountView(_ volume: TestVolume, _ name: String = "view") throws -> String {
    let point = volume.room.directory(name)
    let loop = try run(["losetup", "--show", "-r", "-f", volume.device])
    try succeed(loop)
    let device = String(loop.stdout.dropLast())
    // It goes when it is not mounted any more.
    defer { _ = try? run(["losetup", "-d", device]) }
    try succeed(run(["mount", "-t", "erofs", "-o", "ro", device, point]))
    return point
  }

  private func unmountView(_ point: String) throws {
    var outcome = try run(["umount", point])
    try seconds(
      until: {
        if outcome.status == 0 { return true }
        outcome = try run(["umount", point])
        return outcome.status == 0
      })
    try succeed(outcome)
  }

  private func isShown(_ path: String, _ volume: TestVolume) throws -> Bool {
    try run(["dump.erofs", "--path=/" + path, volume.device]).stdout.contains("Size:")
  }

  @Test("fsck.erofs and dump.erofs are content, and extract each byte", .enabled(if: hasChecker, "no erofs-utils"))
  func checker() throws {
    try withVolume(["--alloc-unit", "4k"]) { volume in
      try fill(volume)
      let outcome = try volume.famfs("publish", "--verbose", volume.master)
      try succeed(outcome)
      #expect(outcome.stdout.contains("403 files and 4 directories") && outcome.stdout.contains(" in .erofs-1"))
      for _ in 0..<2 {
        let checked = try run(["fsck.erofs", volume.device])
        #expect(checked.status == 0 && checked.stderr == "", "\(checked)")
        let folder = volume.room.at("out")
        try succeed(run(["fsck.erofs", "--extract=" + folder, "--overwrite", volume.device]))
        let found = try FileManager.default.subpathsOfDirectory(atPath: folder)
        #expect(Set(found) == Set(try items(volume.master).keys.filter { $0 != "" }))
        for name in found where !name.hasSuffix("dir") && !["-empty", "dir/deep", "dir/deep/er"].contains(name) {
          expect(folder + "/" + name, holds: try read(volume.master + "/" + name))
        }
        let dump = try run(["dump.erofs", "-s", volume.device]).stdout
        #expect(dump.contains(try volume.uuid()) && dump.contains("408") && dump.contains("chunked_file"))
        // Once more, without a mount.
        if volume.isMounted() { try volume.unmount() } else { break }
        try succeed(volume.famfs("publish", volume.device))
        try volume.mount()
      }
      try succeed(volume.famfs("fsck", volume.isMounted() ? volume.master : volume.device))
    }
  }

  @Test(
    "this kernel's EROFS shows each attribute and byte as the mount does; what comes later, after the next publish",
    .enabled(if: kernelCanMount, "this kernel has no EROFS, or no loop devices"), arguments: ["4k", "2m"])
  func kernel(unit: String) throws {
    try withVolume(size: unit == "4k" ? "64m" : "2g", ["--alloc-unit", unit]) { volume in
      try fill(volume, chunks: unit == "4k" ? "64k" : "2m")
      try succeed(volume.famfs("publish", volume.master))
      let first = try mountView(volume)
      try expectSame(volume.master, first)
      for path in [first, first + "/dir"] {
        let status = try volume.famfs("status", path).stdout
        #expect(try status.contains("EROFS, page cache") && status.contains(volume.uuid()))
      }
      #expect(failure { open(first + "/new", O_CREAT | O_WRONLY, 0o644) } == .readOnlyFileSystem)
      let before = try items(first)
      let added = try volume.add("dir/later", count: 100_000, seed: 7)
      for _ in 0..<3 { try succeed(volume.famfs("publish", volume.master)) }
      // Who has it mounted still has what there was, and reads all of it.
      #expect(try items(first) == before)
      let second = try mountView(volume, "second")
      expect(second + "/dir/later", holds: added)
      try expectSame(volume.master, second)
      // Bytes that are written in place are the same memory.
      let file = try FileDescriptor(opening: volume.master + "/dir/plain", .readWrite)
      try file.put([1, 2, 3], at: 70_000)
      try unmountView(second)
      try unmountView(first)
      let third = try mountView(volume)
      expect(third + "/dir/plain", holds: try read(volume.master + "/dir/plain"))
      try unmountView(third)
    }
  }

  @Test(
    "files on further devices are read where those are named",
    .enabled(if: kernelCanMount && hasChecker, "this kernel has no EROFS, or there are no erofs-utils"))
  func devices() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let more = room.at("more")
      try succeed(
        run(
          ["mkfs.famfs", "--size", "32m", "--alloc-unit", "4k", volume.device, more],
          environment: Host.master.environment))
      try volume.mount(.master, ["--device", more])
      let large = try volume.add("large", count: 25 << 20)
      try volume.add("small", count: 1000)
      try succeed(volume.famfs("publish", volume.master))
      try succeed(run(["fsck.erofs", "--device=" + more, volume.device]))
      let loop = try run(["losetup", "--show", "-f", more])
      try succeed(loop)
      let device = String(loop.stdout.dropLast())
      defer { _ = try? run(["losetup", "-d", device]) }
      let point = room.directory("view")
      try succeed(run(["mount", "-t", "erofs", "-o", "ro,loop,device=" + device, volume.device, point]))
      try expectSame(volume.master, point)
      try unmountView(point)
      // Without it nothing wrong is read.
      if try run(["mount", "-t", "erofs", "-o", "ro,loop", volume.device, point]).status == 0 {
        let bytes = try? read(point + "/large")
        #expect(bytes == nil || areSame(bytes ?? [], large))
        try unmountView(point)
      }
      try volume.unmount()
    }
  }

  @Test("with -o publish new files are published by themselves", .enabled(if: hasChecker, "no erofs-utils"))
  func byItself() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["-o", "publish"]) { volume in
      try volume.add("cp", count: 10_000)
      try #require(seconds(until: { try isShown("cp", volume) }) != nil)
      try write([1, 2, 3], to: volume.master + "/written")
      try #require(seconds(until: { try isShown("written", volume) }) != nil)
      try succeed(run(["fsck.erofs", volume.device]))
      // Where nothing is new, nothing is published: not by this mount, nor by the next.
      let entries = try volume.entries()
      let word = try Media(volume.device).get(1024, 128)
      try volume.unmount()
      try volume.mount(.master, ["-o", "publish"])
      try volume.add("cp2", count: 10)
      try #require(seconds(until: { try isShown("cp2", volume) }) != nil)
      #expect(try volume.entries() == entries + 1)
      #expect(try Media(volume.device).get(1024, 128) != word)
    }
  }

  @Test("only the master publishes, and only where that may add to the volume")
  func refusals() throws {
    try withVolume(client: true) { volume in
      expectRefusal(try volume.famfs("publish", volume.client, as: .client), naming: ["client", "master"])
      expectRefusal(try volume.famfs("publish", volume.device), naming: [volume.device, "is mounted at"])
      expectRefusal(try volume.famfs("publish", volume.room.path), naming: [volume.room.path, "no mounted famfs"])
      try volume.unmount(.client)
      try volume.unmount()
      expectRefusal(try volume.famfs("publish", volume.device, as: .client), naming: ["master"])
      for option in ["ro", "strict"] {
        try volume.mount(.master, ["-o", option])
        expectRefusal(try volume.famfs("publish", volume.master), naming: ["read-only"])
        try volume.unmount()
        let both = try volume.famfs("mount", "-o", "publish," + option, volume.device, volume.master)
        expectRefusal(both, naming: ["publish", option])
      }
      #expect(try Media(volume.device).get(1024, 3072).allSatisfy { $0 == 0 })
    }
  }

  @Test("where files can be removed it must be forced, and the view that hosts find now cannot be removed")
  func reclaiming() throws {
    try withVolume(["--reclaim", "--alloc-unit", "4k"]) { volume in
      try volume.add("f", count: 1000)
      expectRefusal(try volume.famfs("publish", volume.master), naming: [volume.device, "--force"])
      try succeed(volume.famfs("publish", "--force", volume.master))
      expectRefusal(
        try volume.famfs("rm", volume.master + "/.erofs-1"), naming: [".erofs-1", "EROFS", "famfs publish"])
      try succeed(volume.famfs("rm", volume.master + "/f"))
      try volume.unmount()
      let outcome = try volume.famfs("mount", "-o", "publish", volume.device, volume.master)
      expectRefusal(outcome, naming: [volume.device, "removed"])
    }
  }

  @Test("a published volume is still known as a famfs, by mkfs and by the master")
  func isStillFamfs() throws {
    try withVolume { volume in
      try volume.add("f", count: 1000)
      try succeed(volume.famfs("publish", volume.master))
      let other = TestVolume(in: volume.room, device: volume.room.at("other"))
      try other.make()
      try succeed(volume.famfs("publish", other.device))
      expectRefusal(
        try volume.famfs("devadd", volume.master, other.device), naming: [other.device, "famfs file system"])
      expectRefusal(
        try run(["mkfs.famfs", other.device], environment: Host.master.environment),
        naming: [other.device, "famfs file system", "--force"])
      try succeed(run(["mkfs.famfs", "--force", other.device], environment: Host.master.environment))
      #expect(try Media(other.device).get(1024, 3072).allSatisfy { $0 == 0 })
      try volume.unmount()
      try succeed(volume.famfs("fsck", volume.device))
      try volume.mount()
      expect(volume.master + "/f", holds: contents(1000))
    }
  }

  @Test("--json says where the view is")
  func json() throws {
    try withVolume { volume in
      try volume.add("f", count: 1000)
      let outcome = try volume.famfs("publish", "--json", volume.master)
      try succeed(outcome)
      let view = try #require(try JSONSerialization.jsonObject(with: Data(outcome.stdout.utf8)) as? [String: Any])
      #expect(view["device"] as? String == volume.device && view["area"] as? String == ".erofs-1")
      #expect(view["files"] as? Int == 1 && view["directories"] as? Int == 0 && view["entries"] as? Int == 2)
      let offset = try #require(view["metadata_offset"] as? Int)
      #expect(
        try Media(volume.device).get(1064, 4).enumerated().reduce(0) { $0 + Int($1.1) << ($1.0 * 8) } == offset / 4096)
      #expect(view["metadata_bytes"] as? Int == 4096)
    }
  }
}

extension TestVolume {
  fileprivate func uuid() throws -> String {
    let bytes = try Media(device).get(48, 16).map { String(format: "%02x", $0) }.joined()
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { range in
      String(bytes.dropFirst(range.lowerBound).prefix(range.count))
    }.joined(separator: "-")
  }

  /// Entries of the log.
  fileprivate func entries() throws -> Int {
    try Media(device).get(Media.log + 40, 8).enumerated().reduce(0) { $0 + Int($1.1) << ($1.0 * 8) }
  }
}
