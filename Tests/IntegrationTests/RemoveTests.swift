import Foundation
import Platform
import Testing

/// Files that are removed, on volumes made for it.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct RemoveTests {
  private func isGone(_ path: String) -> Bool { failure { access(path, F_OK) } == .noEntry }

  /// The log's length, as the device has it.
  private func entries(of volume: TestVolume) throws -> Int {
    let bytes = try FileDescriptor(opening: volume.device, .readOnly).bytes(at: (2 << 20) + 40, count: 8)
    return bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// Waits until every host has taken in the whole log, and has looked at all heartbeats a few times since then: space
  /// that could be given back would have been.
  private func awaitLooks(_ volume: TestVolume) throws {
    let device = try FileDescriptor(opening: volume.device, .readOnly)
    let heartbeats: () throws -> [(entries: UInt64, count: UInt64)] = {
      let slots = try device.bytes(at: 4096, count: 1024 * 256)
      let word = { (place: Int) in (0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(slots[place + $1]) } }
      return (0..<1024).filter { word($0 * 256) != 0 }.map { (word($0 * 256 + 64), word($0 * 256 + 56)) }
    }
    let total = try UInt64(entries(of: volume))
    let haveAll: () throws -> Bool = { try heartbeats().count == 2 && heartbeats().allSatisfy { $0.entries >= total } }
    try #require(try seconds(until: haveAll) != nil)
    let before = try heartbeats().map(\.count)
    let haveLooked: () throws -> Bool = { try zip(heartbeats(), before).allSatisfy { $0.count >= $1 + 4 } }
    try #require(try seconds(until: haveLooked) != nil)
  }

  @Test("a removed file is gone on all hosts; who has it open keeps it, and the space comes back after the last close")
  func removed() throws {
    try withVolume(["--reclaim"], client: true) { volume in
      let free = try volume.freeBytes()
      let bytes = try volume.add("f", count: 30 << 20)
      try volume.add("stays", count: 10, seed: 2)
      let left = try volume.freeBytes()
      try #require(seconds(until: { access(volume.client + "/stays", F_OK) == 0 }) != nil)
      do {
        let file = try FileDescriptor(opening: volume.client + "/f", .readOnly)
        let mapped = mmap(nil, bytes.count, PROT_READ, MAP_SHARED, file.rawValue, 0)
        try succeed(volume.famfs("rm", volume.master + "/f"))
        #expect(isGone(volume.master + "/f"))
        try #require(seconds(until: { isGone(volume.client + "/f") }) != nil)
        try awaitLooks(volume)
        #expect(try volume.freeBytes() == left)
        #expect(try areSame(file.bytes(at: 0, count: bytes.count), bytes))
        let page = try #require(mapped == MAP_FAILED ? nil : mapped)
        #expect(page.load(fromByteOffset: 20 << 20, as: UInt8.self) == bytes[20 << 20])
        munmap(page, bytes.count)
      }
      try #require(seconds(until: { (try? volume.freeBytes()) == free - (2 << 20) }) != nil)
      let new = try volume.add("f", count: 30 << 20, seed: 3)
      try #require(seconds(until: { access(volume.client + "/f", F_OK) == 0 }) != nil)
      for mount in volume.mounts {
        expect(mount + "/f", holds: new)
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: mount)).isSuperset(of: ["f", "stays"]))
        try succeed(volume.famfs("fsck", mount))
      }
    }
  }

  @Test("a host that was stopped gets errors, not another file's bytes, and what was removed while it slept is gone")
  func stopped() throws {
    try withVolume(["--reclaim"], client: true) { volume in
      let count = 4 << 20
      for number in 0..<6 { try volume.add("old\(number)", count: count, seed: UInt64(number)) }
      try #require(seconds(until: { access(volume.client + "/old5", F_OK) == 0 }) != nil)
      // In processes of their own: whoever has such a file open waits for the daemon at each fork.
      let readers = try (0..<6).map { try Reader(of: volume.client + "/old\($0)", at: $0 * 3, volume.room) }
      let free = try volume.freeBytes()
      let daemon = try volume.daemon(of: .client)
      defer { kill(daemon, SIGCONT) }
      try Machine.stop(daemon)
      // Reads that wait in the daemon's door.
      for reader in readers.dropLast() { try reader.begin() }
      try succeed(volume.famfs("rm", "-r", volume.master + "/old0", volume.master + "/old1", volume.master + "/old2"))
      try succeed(volume.famfs("rm", volume.master + "/old3", volume.master + "/old4", volume.master + "/old5"))
      try #require(seconds(until: { (try? volume.freeBytes()) == free + UInt64(6 * count) }) != nil)
      let new = try volume.add("new", count: 40 << 20, seed: 99)
      kill(daemon, SIGCONT)
      try readers.last?.begin()
      for reader in readers { #expect(try reader.end() == []) }
      try #require(seconds(until: { access(volume.client + "/new", F_OK) == 0 }) != nil)
      expect(volume.client + "/new", holds: new)
      #expect(isGone(volume.client + "/old0"))
      let isAlive: () -> Bool = {
        let status = (try? volume.famfs("status", volume.master))?.stdout ?? ""
        return status.components(separatedBy: "alive").count == 3
      }
      #expect(seconds(until: isAlive) != nil, "the client is one of two again")
      try succeed(volume.famfs("fsck", volume.client))
    }
  }

  @Test("a host whose daemon was killed is not waited for")
  func killed() throws {
    try withVolume(["--reclaim"], client: true) { volume in
      let free = try volume.freeBytes()
      try volume.add("f", count: 30 << 20)
      let daemon = try volume.daemon(of: .client)
      kill(daemon, SIGKILL)
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      try succeed(volume.famfs("rm", volume.master + "/f"))
      #expect(seconds(until: { (try? volume.freeBytes()) == free }) != nil)
      try run(["famfs", "umount", volume.client])
      // A master that is mounted anew finds the space free as well, and those who come later see no trace.
      try volume.unmount()
      try volume.mount()
      #expect(seconds(until: { (try? volume.freeBytes()) == free }) != nil)
      #expect(isGone(volume.master + "/f"))
    }
  }

  @Test("a host whose heartbeat cannot be read, because it died while it wrote it, is given up before space comes back")
  func tornSign() throws {
    try withVolume(["--reclaim"], client: true) { volume in
      let free = try volume.freeBytes()
      try volume.add("f", count: 30 << 20)
      let device = try FileDescriptor(opening: volume.device, .readWrite)
      // The last slot, which the mounts' random numbers leave alone but once in a thousand times.
      let (heartbeat, mark) = (4096 + 1023 * 256, 266_240 + 1023 * 64)
      var bytes = [UInt8](repeating: 7, count: 256)
      bytes.replaceSubrange(0..<8, with: withUnsafeBytes(of: UInt64(0x7461_6562_7466_6577).littleEndian, Array.init))
      try device.put(bytes, at: heartbeat)
      try succeed(volume.famfs("rm", volume.master + "/f"))
      try #require(seconds(until: { (try? volume.freeBytes()) == free }) != nil)
      #expect(try device.bytes(at: mark, count: 8) == [UInt8](repeating: 7, count: 8))
    }
  }

  @Test("a queue that is removed under its consumer keeps its space until the consumer ends")
  func queue() throws {
    try withVolume(["--reclaim"], client: true) { volume in
      let free = try volume.freeBytes()
      let queue = "/q"
      try succeed(run(["pcq", "--create", "--bsize", "1k", "--nbuckets", "64", volume.master + queue]))
      let left = try volume.freeBytes()
      try #require(seconds(until: { access(volume.client + queue + ".consumer", F_OK) == 0 }) != nil)
      let consumer = try Child(["pcq", "--consumer", volume.client + queue])
      let isMapped: () -> Bool = {
        let maps = (try? readSmallFile("/proc/\(consumer.pid)/maps")) ?? []
        return String(decoding: maps, as: UTF8.self).contains(volume.device)
      }
      try #require(seconds(until: isMapped) != nil)
      try succeed(volume.famfs("rm", volume.master + queue, volume.master + queue + ".consumer"))
      try awaitLooks(volume)
      #expect(try volume.freeBytes() == left)
      consumer.send(SIGINT)
      try succeed(consumer.wait())
      #expect(seconds(until: { (try? volume.freeBytes()) == free }) != nil)
    }
  }

  @Test("a daemon that is killed amid removals ends, also when programs wait for it in the same directory")
  func killedAmidRemovals() throws {
    try withVolume(size: "256m", ["--reclaim", "--alloc-unit", "4k", "--loglen", "64m"], mounting: ["--commit", "0"]) {
      volume in
      // Whoever makes something holds the directory's lock until the daemon has answered.
      let load = """
        PATH=$2:$PATH; for i in {1..100}; do for n in 1 2 3 4 5 6 7 8 9; do echo $n > $0/$1.$n || exit; done; famfs rm $0/$1.?; done
        """
      for round in 0..<12 {
        let directory = volume.master + "/dir\(round)"
        try succeed(run(["mkdir", directory]))
        try succeed(volume.famfs("commit", directory))
        let programs = try (0..<3).map { number in
          try Child(
            ["bash", "-c", load, directory, "\(number)", Machine.programs], environment: Host.master.environment)
        }
        let before = try entries(of: volume)
        try #require(seconds(until: { (try? entries(of: volume)) ?? 0 > before + 40 }) != nil)
        let daemon = try volume.daemon()
        kill(daemon, SIGKILL)
        let hasEnded = seconds(until: { !Machine.isRunning(daemon) }) != nil
        // Else nothing ends here.
        if !hasEnded { try run(["umount", "-f", volume.master]) }
        try #require(hasEnded)
        for program in programs { _ = try program.wait() }
        try volume.mount(.master, ["--commit", "0"])
      }
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("directories go with all that is in them, committed or not, and files that are open while staged stay readable")
  func directories() throws {
    try withVolume(["--reclaim", "--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      let top = volume.master + "/top"
      try succeed(run(["mkdir", "-p", top + "/a/b"]))
      for number in 0..<50 { try write(contents(5000, seed: UInt64(number)), to: top + "/a/\(number)") }
      try succeed(volume.famfs("commit", volume.master))
      let file = try FileDescriptor(opening: top + "/a/open", [.readWrite, .create], mode: 0o644)
      try file.put(contents(9000), at: 0)
      try succeed(volume.famfs("commit", top + "/a/open"))
      try write([1], to: top + "/a/b/staged")
      let kept = try volume.famfs("rm", top)
      expectRefusal(kept, naming: [top, "-r"])
      // As rmdir has it, also of what is not committed.
      expectRefusal(try volume.famfs("rm", "-r", top + "/a/b/none"), naming: ["none"])
      try succeed(volume.famfs("rm", "-r", "-f", top, top + "/none"))
      #expect(isGone(top))
      #expect(try areSame(file.bytes(at: 0, count: 9000), contents(9000)))
      #expect(seconds(until: { isGone(volume.client + "/top") }) != nil)
      // The same names once more.
      try succeed(run(["mkdir", "-p", top + "/a"]))
      try write([2], to: top + "/a/0")
      // A program that another test starts at this moment has copies of this process's files until it runs.
      let isSeen = try seconds(until: {
        try succeed(volume.famfs("commit", volume.master))
        return (try? read(volume.client + "/top/a/0")) == [2]
      })
      #expect(isSeen != nil)
      try succeed(volume.famfs("fsck", volume.client))
    }
  }

  @Test("what cannot be removed is refused with a sentence")
  func refused() throws {
    try withVolume(["--reclaim"], client: true) { volume in
      try volume.add("f", count: 10)
      try #require(seconds(until: { access(volume.client + "/f", F_OK) == 0 }) != nil)
      let link = try volume.room.link("link", to: volume.master + "/f")
      expectRefusal(try volume.famfs("rm"), naming: ["name a file"])
      expectRefusal(try volume.famfs("rm", volume.master + "/none"), naming: ["none"])
      expectRefusal(try volume.famfs("rm", "-r", volume.master), naming: ["root"])
      expectRefusal(try volume.famfs("rm", volume.master + "/.meta/.log"), naming: [".meta"])
      expectRefusal(try volume.famfs("rm", "/etc/passwd"), naming: ["/etc/passwd", "famfs mount"])
      expectRefusal(try volume.famfs("rm", link), naming: ["symbolic link"])
      expectRefusal(try volume.famfs("rm", volume.client + "/f", as: .client), naming: [Host.master.rawValue])
      // The usual commands have no say over what is committed.
      #expect(failure { unlink(volume.master + "/f") } == .notPermitted)
      #expect(failure { rename(volume.master + "/f", volume.master + "/g") } == .notPermitted)
      try volume.unmount(.client)
      expectRefusal(
        try run(["famfs", "mount", "--strict", volume.device, volume.client], environment: Host.client.environment),
        naming: ["strict"])
      try volume.unmount()
      try succeed(
        run(["mount.famfs", volume.device, volume.master, "-o", "ro"], environment: Host.master.environment))
      expectRefusal(try volume.famfs("rm", volume.master + "/f"), naming: ["read-only"])
    }
    try withVolume { volume in
      try volume.add("f", count: 10)
      expectRefusal(try volume.famfs("rm", volume.master + "/f"), naming: [volume.device, "--reclaim"])
      expect(volume.master + "/f", holds: contents(10))
    }
  }
}

/// A program that has a file open and reads from it when it is told to.
private final class Reader {
  private let child: Child
  private let base: String

  init(of path: String, at place: Int, _ room: Room) throws {
    base = room.at("reader\(place)")
    try #require(mkfifo(base + ".fifo", 0o600) == 0)
    let script = """
      exec 3<"$0"; echo > "$1.ready"; read go < "$1.fifo"; exec dd bs=100000 count=1 skip=\(place) of="$1.out" <&3
      """
    child = try Child(["bash", "-c", script, path, base])
    let isReady: () -> Bool = { [base] in access(base + ".ready", F_OK) == 0 }
    try #require(seconds(until: isReady) != nil)
  }

  func begin() throws {
    let file = try FileDescriptor(opening: base + ".fifo", .writeOnly)
    try [UInt8]("go\n".utf8).span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(all: bytes) }
  }

  /// What it could read: nothing when it failed.
  func end() throws -> [UInt8] {
    let outcome = try child.wait()
    let bytes = try read(base + ".out")
    #expect((outcome.status == 0) == !bytes.isEmpty, "\(outcome)")
    return bytes
  }
}
