import Glibc
import Platform
import Testing

/// The device is a plain file on a disk, and the host crashes: what was not synced is lost, or not, sector by sector.
@Suite("Crashes of the host", .serialized, .realMounts, .timeLimit(.minutes(15))) struct HostCrashTests {
  /// What a volume has that came through a crash.
  private func files(of image: [UInt8], in room: Room) throws -> [String: [UInt8]] {
    let survivor = TestVolume(in: room, device: room.at("survivor"))
    try room.file("survivor", image)
    try succeed(survivor.famfs("fsck", survivor.device))
    try survivor.mount(.client, ["-o", "ro"])
    defer { try? survivor.unmount(.client) }
    var found: [String: [UInt8]] = [:]
    let names = try succeedingOutput(run(["ls", survivor.client])).split(separator: "\n")
    for name in names { found[String(name)] = try bytes(of: survivor.client + "/" + name) }
    return found
  }

  /// Expects these files after a crash at this moment.
  private func expect(_ wanted: [String: [UInt8]], on disk: RecordedDisk, in room: Room) throws {
    let found = try files(of: disk.image(), in: room)
    #expect(found.keys.sorted() == wanted.keys.sorted())
    for (name, bytes) in wanted {
      let isSame = areSame(found[name] ?? [], bytes)
      #expect(isSame, "\(name) is not what was written")
    }
  }

  private func succeedingOutput(_ outcome: Outcome) throws -> String {
    try succeed(outcome)
    return outcome.stdout
  }

  private func bytes(of path: String) throws -> [UInt8] { try readSmallFile(path, limit: 64 << 20) }

  /// Writes to a file as dd(1) does, and has it synced.
  private func write(_ bytes: [UInt8], to path: String, at offset: UInt64 = 0, syncing: Bool = true) throws {
    let file = try FileDescriptor(opening: path, [.readWrite, .create])
    try bytes.withUnsafeBytes { try file.write(at: offset, all: $0) }
    if syncing { try retrying { fsync(file.rawValue) } }
  }

  @Test("what mkfs, famfs cp, famfs mkdir and fsync have told to be done is there after a crash")
  func told() throws {
    try withDiskVolume { volume, disk in
      try expect([:], on: disk, in: volume.room)
      try volume.mount()
      let copied = try volume.add("copied", count: 100_000)
      try expect(["copied": copied], on: disk, in: volume.room)
      // So few bytes are stored by a mapping, and are written to the disk by a sync alone.
      let small = try volume.add("small", count: 5000, seed: 9)
      try expect(["copied": copied, "small": small], on: disk, in: volume.room)

      let made = contents(50_000, seed: 2)
      try write(made, to: volume.master + "/made")
      try expect(["copied": copied, "made": made, "small": small], on: disk, in: volume.room)

      // In place, in both, which the log knows by now.
      let change = contents(9000, seed: 3)
      try write(change, to: volume.master + "/copied", at: 20_000)
      try write(change, to: volume.master + "/made", at: 30_000)
      var (copy, making) = (copied, made)
      copy.replaceSubrange(20_000..<29_000, with: change)
      making.replaceSubrange(30_000..<39_000, with: change)
      try expect(["copied": copy, "made": making, "small": small], on: disk, in: volume.room)
    }
  }

  @Test("the log's index is never ahead of its entry, nor an entry of its file, whatever part of the rest survives")
  func order() throws {
    try withDiskVolume { volume, disk in
      try volume.mount()
      disk.told()  // of an empty volume
      var made: [[UInt8]] = []
      for number in 0..<3 {
        made.append(contents(5000 + number * 7000, seed: UInt64(number + 1)))
        try write(made[number], to: volume.master + "/f\(number)")
        disk.told()
      }
      try volume.unmount()
      var seen: Set<Int> = []
      try disk.forEachCrash(surviving: [0.5, 1]) { image, told, _ in
        if told == 0 { return }  // amid mkfs
        let found = try files(of: image, in: volume.room)
        // What was told, and perhaps the next one.
        #expect(found.count == told - 1 || found.count == told)
        for (name, bytes) in found {
          let isSame = areSame(bytes, made[Int(name.dropFirst()) ?? 0])
          #expect(isSame, "\(name)")
        }
        seen.insert(found.count)
      }
      #expect(seen == [0, 1, 2, 3])
    }
  }

  @Test("a disk that fails: fsync and commands say so, nothing is added, and no later sync takes it for written")
  func failing() throws {
    try withDiskVolume { volume, disk in
      try volume.mount()
      let copied = try volume.add("copied", count: 10_000)
      disk.fail(.inputOutput)
      #expect(throws: Errno.inputOutput) { try write([1, 2, 3], to: volume.master + "/copied") }
      disk.fail(nil)
      #expect(throws: Errno.inputOutput) { try write([1, 2, 3], to: volume.master + "/copied") }
      expectRefusal(try volume.famfs("mkdir", volume.master + "/dir"), naming: ["error"])
      #expect(try files(of: disk.image(), in: volume.room)["copied"]?.count == copied.count)
    }
  }
}
