import Blocks
import Ext4
import Ext4TestSupport
import Platform
import Testing

/// What is made, and the same for mke2fs.
struct MakeCase: Sendable, CustomTestStringConvertible {
  let size: UInt64
  var words: [String] = []
  var change: @Sendable (inout MakeOptions) -> Void = { _ in }

  var testDescription: String { "\(size >> 10) KiB \(words.joined(separator: " "))" }

  static let identifier = "12345678-1234-4321-8765-0123456789ab"
  static let time: UInt64 = 1_700_000_000

  var options: MakeOptions {
    var options = MakeOptions()
    options.uuid = UUID(MakeCase.identifier) ?? .zero
    options.hashSeed = options.uuid
    options.time = MakeCase.time
    change(&options)
    return options
  }

  init(_ mebibytes: UInt64, _ words: String = "", _ change: @escaping @Sendable (inout MakeOptions) -> Void = { _ in })
  {
    self.init(bytes: mebibytes << 20, words, change)
  }

  init(bytes: UInt64, _ words: String = "", _ change: @escaping @Sendable (inout MakeOptions) -> Void = { _ in }) {
    (size, self.change) = (bytes, change)
    self.words = words.split(separator: " ").map(String.init)
  }

  static let all: [MakeCase] = [
    MakeCase(1), MakeCase(2), MakeCase(3), MakeCase(8), MakeCase(9), MakeCase(64), MakeCase(300), MakeCase(511),
    MakeCase(512), MakeCase(600), MakeCase(1000), MakeCase(2049), MakeCase(10240), MakeCase(100 << 10),
    MakeCase(1 << 20),
    // The last group is short, or too short to be kept.
    MakeCase(bytes: 8 << 20 | 700 << 10), MakeCase(bytes: 24 << 20 | 60 << 10), MakeCase(bytes: 640 << 20 | 4096),
    MakeCase(bytes: 1024 << 20 | 2100 << 10), MakeCase(bytes: 64 << 20 | 3 << 10), MakeCase(bytes: (64 << 20) + 511),
    MakeCase(5, "-b 4096") { $0.blockSize = 4096 }, MakeCase(64, "-b 4096") { $0.blockSize = 4096 },
    MakeCase(300, "-b 2048") { $0.blockSize = 2048 }, MakeCase(40 << 10, "-b 2048") { $0.blockSize = 2048 },
    MakeCase(2000, "-b 1024") { $0.blockSize = 1024 }, MakeCase(20 << 10, "-b 1024") { $0.blockSize = 1024 },
    MakeCase(64, "-i 1024") { $0.inodeRatio = 1024 }, MakeCase(600, "-i 4096") { $0.inodeRatio = 4096 },
    MakeCase(600, "-i 1048576") { $0.inodeRatio = 1 << 20 }, MakeCase(64, "-N 100") { $0.inodeCount = 100 },
    MakeCase(4096, "-N 20") { $0.inodeCount = 20 }, MakeCase(64, "-I 128") { $0.inodeSize = 128 },
    MakeCase(64, "-I 512") { $0.inodeSize = 512 },
    MakeCase(1000, "-I 1024 -b 1024") { ($0.inodeSize, $0.blockSize) = (1024, 1024) },
    MakeCase(64, "-m 0 -L label") { ($0.reservedPercent, $0.label) = (0, "label") },
    MakeCase(64, "-m 12.5 -L sixteen-letters.") { ($0.reservedPercent, $0.label) = (12.5, "sixteen-letters.") },
    MakeCase(600, "-J size=64") { $0.journalMebibytes = 64 },
    MakeCase(64, "-J size=1 -b 1024") { ($0.journalMebibytes, $0.blockSize) = (1, 1024) },
    MakeCase(16 << 10, "-J size=1000") { $0.journalMebibytes = 1000 },
    features("^has_journal", 64), features("^resize_inode", 600), features("^flex_bg", 600), features("^flex_bg", 64),
    features("^64bit", 600), features("^64bit", 64), features("^metadata_csum", 600), features("^metadata_csum", 64),
    features("^huge_file,^dir_nlink,^dir_index,^ext_attr", 64), features("^metadata_csum,^64bit,^has_journal", 300),
    features("^has_journal,^resize_inode", 4096),
  ]

  static func features(_ list: String, _ mebibytes: UInt64) -> MakeCase {
    MakeCase(mebibytes, "-O \(list)") { try? $0.features.apply(list) }
  }
}

@Suite("a new file system", .enabled(if: Machine.hasE2fsprogs))
struct MakingTests {
  let folder: TestFolder
  init() throws { folder = try TestFolder() }

  /// Makes one in a new sparse file.
  func make(_ made: MakeCase) throws -> String {
    let image = folder.at("ours")
    try must(["truncate", "-s", "\(made.size)", image])
    var options = made.options
    options.isZeroed = true
    let device = try FileDevice(opening: image, isWritable: true)
    _ = try FileSystemMaker.make(on: device, options)
    return image
  }

  @Test("is what mke2fs makes, and clean", arguments: MakeCase.all)
  func compared(_ made: MakeCase) throws {
    let image = try make(made)
    let check = try runTool(["e2fsck", "-fn", image])
    #expect(check.status == 0, "\(check.text)\(check.complaints)")
    let other = folder.at("other")
    try must(["truncate", "-s", "\(made.size)", other])
    let seeds = ["-U", MakeCase.identifier, "-E", "hash_seed=\(MakeCase.identifier)"]
    try must(
      ["env", "E2FSPROGS_FAKE_TIME=\(MakeCase.time)", "mke2fs", "-q", "-F", "-t", "ext4"] + seeds + made.words + [other]
    )
    let (ours, theirs) = (try lines(image), try lines(other))
    let difference = zip(ours, theirs).filter { $0 != $1 }.prefix(12).map { "ours   \($0)\ntheirs \($1)" }
    #expect(difference.isEmpty && ours.count == theirs.count, "\(difference.joined(separator: "\n"))")
  }

  /// All lines that dumpe2fs prints, apart from those that may differ.
  private func lines(_ image: String) throws -> [Substring] {
    // How much was written to make it, and the superblock's checksum, in which that is.
    let allowed = ["Lifetime writes:", "Checksum:"]
    return try must(["dumpe2fs", image]).split(separator: "\n").filter { line in
      !allowed.contains { line.hasPrefix($0) }
    }
  }

  @Test("is read by our own reader", arguments: [8 << 20, 64 << 20, 600 << 20, 1 << 40] as [UInt64])
  func opened(_ size: UInt64) throws {
    let tree = try openVolume(try make(MakeCase(bytes: size))).tree()
    #expect(tree.keys.sorted() == ["/", "/lost+found"])
    #expect(tree["/"]?.links == 3 && tree["/lost+found"]?.mode == 0o040700)
  }

  @Test("has root, lost+found and journal where debugfs finds them")
  func debugged() throws {
    let image = try make(MakeCase(600))
    #expect(try must(["debugfs", "-R", "ls -p /", image]).contains("/11/040700/0/0/lost+found//"))
    #expect(try must(["debugfs", "-R", "stat <8>", image]).contains("(0-4095):65536-69631"))
    #expect(try must(["debugfs", "-R", "logdump", image]).contains("Journal starts at block 0"))
  }

  @Test("has the root directory of the owner that was asked for")
  func rootOwner() throws {
    let made = MakeCase(8) { $0.rootOwner = (70_000, 80_000) }
    #expect(try openVolume(try make(made)).tree()["/"]?.owner == [70_000, 80_000])
  }

  /// An old image without a single zero.
  private func rubbish(_ mebibytes: Int) throws -> String {
    let image = folder.at("rubbish")
    let file = try FileDescriptor(opening: image, [.writeOnly, .create])
    let bytes = [UInt8](repeating: 0xa5, count: 1 << 20)
    for part in 0..<mebibytes { try bytes.withUnsafeBytes { try file.write(at: UInt64(part) << 20, all: $0) } }
    return image
  }

  @Test(
    "is clean where rubbish was, and the kernel writes it", .enabled(if: Machine.canLoop),
    arguments: [true, false], ["", "^metadata_csum", "^has_journal"])
  func overRubbish(leavesTables: Bool, features: String) throws {
    let image = try rubbish(40)
    var options = MakeCase(40).options
    (options.leavesTables, options.discards) = (leavesTables, false)
    try options.features.apply(features)
    _ = try FileSystemMaker.make(on: FileDevice(opening: image, isWritable: true), options)
    try writeByKernel(image)
  }

  @Test("leaves none of the rubbish in the journal and at the device's end", arguments: [false, true])
  func cleared(leavesJournal: Bool) throws {
    let image = try rubbish(40)
    var options = MakeCase(40).options
    (options.leavesJournal, options.discards) = (leavesJournal, false)
    _ = try FileSystemMaker.make(on: FileDevice(opening: image, isWritable: true), options)
    let journal = try runTool(["debugfs", "-R", "cat <8>", image]).output
    #expect(journal.count == 4 << 20)
    // Behind its superblock.
    #expect(journal[1024...].contains { $0 != 0 } == leavesJournal)
    let end = try FileDescriptor(opening: image, .readOnly).contents(at: 40 << 20 - 128 << 10, count: 128 << 10)
    #expect(end.allSatisfy { $0 == 0 })
  }

  @Test(
    "is mounted and written by the kernel", .enabled(if: Machine.canLoop),
    arguments: [
      MakeCase(1), MakeCase(8), MakeCase(600), MakeCase(1 << 20), .features("^64bit", 64), .features("^flex_bg", 600),
      MakeCase(64, "-I 128") { $0.inodeSize = 128 }, MakeCase(300) { $0.blockSize = 2048 },
    ])
  func writtenByKernel(_ made: MakeCase) throws { try writeByKernel(try make(made)) }

  private func writeByKernel(_ image: String) throws {
    let place = folder.directory("mount")
    try must(["mount", "-o", "loop", image, place])
    try must(["mkdir", place + "/directory"])
    for number in 0..<30 { try must(["cp", "/etc/services", place + "/directory/\(number)"]) }
    try must(["umount", place])
    try must(["mount", "-o", "loop,ro", image, place])
    try must(["cmp", "/etc/services", place + "/directory/29"])
    try must(["umount", place])
    let check = try runTool(["e2fsck", "-fn", image])
    #expect(check.status == 0, "\(check.text)\(check.complaints)")
  }

  @Test("is there only when all of it is: an old superblock goes first, the new one comes last")
  func powerCuts() throws {
    let image = folder.at("image")
    try must(["mke2fs", "-q", "-F", "-t", "ext4", image, "64M"])
    let device = RecordingDevice(try FileDevice(opening: image, isWritable: true))
    _ = try FileSystemMaker.make(on: device, MakeCase(64).options)
    let events = device.events
    guard case .write(_, let isFirstMagic) = events.first, case .flush = events[1] else {
      Issue.record("the first write is not flushed: \(events.prefix(3))")
      return
    }
    #expect(!isFirstMagic)
    guard events.count > 10, case .flush = events[events.count - 3],
      case .write(let last, let isMagic) = events[events.count - 2], case .flush = events[events.count - 1]
    else {
      Issue.record("the last write has no flush before and after it: \(events.suffix(4))")
      return
    }
    #expect(isMagic && last == 1024..<2048)
    for event in events.dropLast(2) {
      if case .write(let range, let isMagic) = event {
        #expect(!isMagic, "a superblock at \(range) before the last write")
      }
    }
    #expect(try runTool(["e2fsck", "-fn", image]).status == 0)
  }

  @Test(
    "is refused in a sentence, and the device is as it was",
    arguments: [
      (MakeCase(bytes: 32 << 10), "too small"), (MakeCase(64) { $0.blockSize = 512 }, "give 1024, 2048 or 4096"),
      (MakeCase(64) { $0.inodeSize = 300 }, "power of two"),
      (MakeCase(64) { $0.inodeCount = 1 << 30 }, "ask for fewer"),
      (MakeCase(64) { $0.journalMebibytes = 60 }, "more than half"),
      (MakeCase(64) { ($0.journalMebibytes, $0.blockSize) = (1, 4096) }, "1024 to 10240000 blocks"),
      (MakeCase(1 << 20) { $0.blockSize = 1024 }, "use larger ones"), (MakeCase(17 << 20), "2^32 - 1 blocks"),
    ])
  func refused(_ made: MakeCase, _ reason: String) throws {
    let image = folder.at("image")
    try must(["mke2fs", "-q", "-F", image, "64M"])
    try must(["truncate", "-s", "\(made.size)", image])
    let before = try FileDescriptor(opening: image, .readOnly).contents(at: 0, count: 32 << 10)
    var sentence = ""
    do { _ = try FileSystemMaker.make(on: FileDevice(opening: image, isWritable: true), made.options) } catch {
      sentence = "\(error)"
    }
    #expect(sentence.contains(reason) && sentence.utf8.count < 200, "\(sentence)")
    #expect(try FileDescriptor(opening: image, .readOnly).contents(at: 0, count: 32 << 10) == before)
  }

  @Test("has the features that are asked for")
  func features() throws {
    var features = MakeFeatures()
    try features.apply("^has_journal,^64bit,has_journal,^quota,extents")
    #expect(features.compatible.contains(.hasJournal) && !features.incompatible.contains(.has64bit))
    #expect(throws: SentenceError.self) { try features.apply("^extents") }
    #expect(throws: SentenceError.self) { try features.apply("quota") }
    #expect(throws: SentenceError.self) { try features.apply("^no_such") }
  }
}

/// A device that remembers what was done to it.
final class RecordingDevice: BlockDevice, @unchecked Sendable {
  // Unchecked: one thread makes a file system, and the test looks at the events afterwards.

  /// A write, and whether it put the magic number of a superblock where the first one stands; or a flush.
  enum Event {
    case write(Range<UInt64>, isMagic: Bool)
    case flush
  }

  private let device: FileDevice
  private(set) var events: [Event] = []
  var name: String { device.name }
  var size: UInt64 { device.size }
  var isReadOnly: Bool { false }
  var file: BackingFile? { nil }

  init(_ device: FileDevice) { self.device = device }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(BlockDeviceError) {
    try device.read(at: offset, into: buffer)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(BlockDeviceError) {
    try device.write(at: offset, from: buffer)
    let range = offset..<(offset + UInt64(buffer.count))
    let place = Superblock.offset + 0x38
    let isMagic =
      range.contains(place) && range.contains(place + 1)
      && buffer.loadUnaligned(fromByteOffset: Int(place - offset), as: UInt16.self) == Superblock.magic
    events.append(.write(range, isMagic: isMagic))
  }

  func flush() throws(BlockDeviceError) {
    try device.flush()
    events.append(.flush)
  }

  func discard(at offset: UInt64, count: UInt64) throws(BlockDeviceError) {}
}
