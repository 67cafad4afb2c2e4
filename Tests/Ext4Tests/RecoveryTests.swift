import Blocks
import Ext4
import Ext4TestSupport
import Foundation
import Glibc
import Platform
import Testing

/// Images that were copied while the kernel had them mounted, and so hold a log that must be replayed.
@Suite(.enabled(if: Ext4TestSupport.Machine.canLoop)) struct RecoveryTests {
  static let kinds: [[String]] = [
    ["-t", "ext4", "-b", "1024"], ["-t", "ext4"], ["-t", "ext3", "-b", "1024"],
    ["-t", "ext4", "-b", "1024", "-O", "^64bit,^metadata_csum"],
    ["-t", "ext4", "-O", "metadata_csum_seed,orphan_file"],
    ["-t", "ext4", "-b", "1024", "-J", "size=1"],
  ]

  /// An image as a power cut leaves it behind an fsync(2), with blocks revoked, and one that looks like the log's own.
  private func crashed(_ options: [String], in folder: TestFolder) throws -> String {
    let (image, place, copy) = (folder.at("image"), folder.directory("mount"), folder.at("crashed"))
    try must(["mke2fs", "-q", "-F", "-N", "4096"] + options + [image, "48M"])
    // Where data is in the log, too, some of it looks like the log's own blocks.
    let mode = options.contains("ext3") || options.contains("size=1") ? "journal" : "ordered"
    try must(["mount", "-o", "loop,data=\(mode)", image, place])
    var population = Population(root: place)
    (population.hasExtents, population.isSmall, population.manyNames) = (options[1] == "ext4", true, 600)
    try population.make()
    try fillLog(place)
    try must(["cp", "--sparse=always", image, copy])
    try must(["umount", place])
    return copy
  }

  private func fillLog(_ place: String) throws {
    let magic: [UInt8] = [0xc0, 0x3b, 0x39, 0x98]
    let journaled = try FileDescriptor(opening: place + "/files/0", .writeOnly)
    // Directories' blocks, logged before, become a file's data.
    for round in 0..<3 {
      try must(["cp", "-r", place + "/many", place + "/copy\(round)"])
      fsync(journaled.rawValue)
      try must(["rm", "-r", place + "/copy\(round)"])
      fsync(journaled.rawValue)
      let data = try FileDescriptor(opening: place + "/data\(round)", [.writeOnly, .create])
      try data.write(String(repeating: "data \(round) ", count: 200_000))
      fsync(data.rawValue)
    }
    // Last, so that it is still in the log.
    let bytes = (0..<5000).flatMap { _ in magic }
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try journaled.write(at: 0, all: bytes) }
    fsync(journaled.rawValue)
  }

  private func needsRecovery(_ path: String) throws -> Bool {
    try must(["dumpe2fs", "-h", path]).contains("needs_recovery")
  }

  @Test("what is replayed is what e2fsck replays, byte for byte", arguments: kinds)
  func sameAsE2fsck(_ options: [String]) throws {
    let folder = try TestFolder()
    let image = try crashed(options, in: folder)
    try #require(try needsRecovery(image))
    let (ours, theirs, kernel) = (folder.at("ours"), folder.at("theirs"), folder.at("kernel"))
    for copy in [ours, theirs, kernel] { try must(["cp", "--sparse=always", image, copy]) }
    let summary = try #require(try JournalRecovery.run(on: FileDevice(opening: ours, isWritable: true)))
    #expect(summary.transactions > 0 && summary.blocks > 0)
    #expect(try !needsRecovery(ours))
    let checked = try runTool(["e2fsck", "-y", "-E", "journal_only", theirs])
    #expect(checked.status <= 1, "\(checked.text)")
    let size = try openVolume(ours).geometry.blockSize
    let journal = try must(["debugfs", "-R", "bmap <8> 0", ours]).trimmingCharacters(in: .whitespacesAndNewlines)
    let skipped = Set([1024 / size, Int(journal) ?? 0])
    let (one, other) = (
      try Data(contentsOf: URL(fileURLWithPath: ours)), try Data(contentsOf: URL(fileURLWithPath: theirs))
    )
    // The superblocks hold times, and the kernel's counts of free blocks, which e2fsck computes anew.
    var different: [Int] = []
    for block in 0..<(one.count / size) where !skipped.contains(block) {
      if one[(block * size)..<((block + 1) * size)] != other[(block * size)..<((block + 1) * size)] {
        different.append(block)
      }
    }
    #expect(different == [], "blocks that differ")
    // The next transaction must not have a number that is in the log still.
    func sequence(_ path: String) throws -> Substring? {
      try must(["dumpe2fs", "-h", path]).split(separator: "\n").first { $0.hasPrefix("Journal sequence:") }
    }
    #expect(try sequence(ours) == sequence(theirs))
    let place = folder.directory("mount")
    try must(["mount", "-o", "loop", kernel, place])
    try must(["mount", "-o", "remount,ro", place])
    expectEqual(try openVolume(ours).tree(), try mountedTree(place))
    try must(["umount", place])
    // Only what an unmount would have written is left to do; then all is as it should be.
    #expect(try runTool(["e2fsck", "-fy", ours]).status <= 1)
    #expect(try runTool(["e2fsck", "-fn", ours]).status == 0)
  }

  @Test("a replay that is cut off anywhere can be done again, and the log is given up behind a flush")
  func cutOff() throws {
    let folder = try TestFolder()
    let image = Array(try Data(contentsOf: URL(fileURLWithPath: try crashed(RecoveryTests.kinds[0], in: folder))))
    let whole = CutOffDevice(image)
    let summary = try #require(try JournalRecovery.run(on: whole))
    #expect(summary.revoked > 0)
    let writes = whole.events.count { $0 != .flush }
    #expect(writes == summary.blocks + 2)
    #expect(whole.events.suffix(5).map { $0 == .flush } == [true, false, true, false, true])
    for cut in [0, 1, writes / 3, writes / 2, writes - 2, writes - 1] {
      let device = CutOffDevice(image, failingBehind: cut)
      #expect(throws: Ext4Error.self) { _ = try JournalRecovery.run(on: device) }
      let again = CutOffDevice(device.memory)
      _ = try JournalRecovery.run(on: again)
      // Apart from the superblock's time of writing, and its checksum.
      #expect(again.memory[2048...] == whole.memory[2048...], "cut behind \(cut) of \(writes)")
    }
    #expect(try JournalRecovery.run(on: CutOffDevice(whole.memory)) == nil)
  }

  @Test("a log that was changed at random is refused or replayed, and never overwrites the journal")
  func hostileLogs() throws {
    let folder = try TestFolder()
    let path = try crashed(RecoveryTests.kinds[3], in: folder)
    let image = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    let blocks = try must(["debugfs", "-R", "bmap <8> 0", path]).trimmingCharacters(in: .whitespacesAndNewlines)
    let start = try #require(Int(blocks)) * 1024
    var random = SeededRandom(.random(in: 1 ... .max))
    for _ in 0..<60 {
      var changed = image
      // The journal's superblock has no checksum here, nor have descriptors.
      for _ in 0..<3 {
        let isSuperblock = Bool.random(using: &random)
        let place =
          isSuperblock ? Int.random(in: 12..<80, using: &random) : 1024 + Int.random(in: 0..<40_000, using: &random)
        changed[start + place] = UInt8.random(in: 0...255, using: &random)
      }
      let device = CutOffDevice(changed)
      do throws(Ext4Error) { _ = try JournalRecovery.run(on: device) } catch {}
      for case .write(let offset, _) in device.events.dropLast(3) {
        #expect(offset < UInt64(start) || offset >= UInt64(start) + 4 << 20 || offset == UInt64(start))
      }
    }
  }
}
