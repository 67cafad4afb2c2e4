import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

/// Files that have maps and no bytes, and devices that have names.
private struct MappedFiles: FileSystem {
  var traits: FileSystemTraits = .memoryMaps
  var maps: [UInt64: MemoryMap] = [:]
  var devices: [[UInt8]] = [Array("/dev/dax0.0".utf8)]

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry { throw .noEntry }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    CachedAttributes(Attributes(inode: 1, mode: S_IFDIR), lifetime: 0)
  }

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {}

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {}

  func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap {
    if node == .root { throw .isDirectory }
    guard let map = maps[node.rawValue] else { throw .stale }
    return map
  }

  func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8] {
    guard Int(index) < devices.count else { throw .noDevice }
    return devices[Int(index)]
  }
}

@Suite("A famfs kernel made of lists", .timeLimit(.minutes(15))) struct MemoryMapTests {
  private let mib: UInt64 = 1 << 20

  private func offer(flags: UInt32 = 0x7fff_ffff, flags2: UInt32) -> [UInt8] {
    Message.request(
      .initialize, unique: 1, node: 0,
      Message().u32(7).u32(46).u32(131072).u32(flags).u32(flags2).zeros(44))
  }

  /// What `flags2` of the answer to an INIT says of bit 43.
  private func isAgreed(_ files: MappedFiles, _ offer: [UInt8]) throws -> Bool {
    let transport = MemoryTransport([offer])
    let session = Session(files, over: transport)
    _ = try session.run(threads: 1)
    let isSaid = try #require(transport.replies.first).u32(32) & 1 << 11 != 0
    #expect(session.agreement?.flags.contains(.daxFileMaps) == isSaid)
    return isSaid
  }

  private func fmap(_ map: MemoryMap) throws -> ReplyMessage {
    try reply(of: MappedFiles(maps: [9: map]), to: Message.request(.getFmap, node: 9))
  }

  @Test("bit 43 is answered where the kernel offers it and the file system asks for it")
  func negotiation() throws {
    #expect(try isAgreed(MappedFiles(), offer(flags2: 1 << 11)))
    #expect(try isAgreed(MappedFiles(), offer(flags2: .max)))
    #expect(try !isAgreed(MappedFiles(), offer(flags2: ~(1 << 11))))
    #expect(try !isAgreed(MappedFiles(traits: []), offer(flags2: .max)))
    // Without INIT_EXT what stands in flags2 is nothing.
    #expect(try !isAgreed(MappedFiles(), offer(flags: 0x3fff_ffff, flags2: .max)))
    let short = Message.request(
      .initialize, unique: 1, node: 0, Message().u32(7).u32(46).u32(131072).u32(0x7fff_ffff))
    #expect(try !isAgreed(MappedFiles(), short))
  }

  @Test("who did not agree on maps gets none")
  func notAgreed() throws {
    let map = MemoryMap(size: 1, .simple([.init(device: 0, offset: 0, length: 2 * mib)]))
    let requests = [Message.request(.getFmap, node: 9), Message.request(.getDaxdev, unique: 3, Message().u32(0))]
    for offer in [offer(flags2: 0), offer(flags: 0x3fff_ffff, flags2: .max)] {
      let transport = MemoryTransport([offer] + requests)
      _ = try Session(MappedFiles(maps: [9: map]), over: transport).run(threads: 1)
      #expect(transport.replies.dropFirst().map(\.error) == [-ENOSYS, -ENOSYS])
    }
    for request in requests { #expect(try reply(of: MappedFiles(traits: []), to: request).error == -ENOSYS) }
    for request in requests { #expect(try reply(of: SmallFileSystem(), to: request).error == -ENOSYS) }
  }

  @Test("a simple map, byte for byte")
  func simple() throws {
    let runs: [MemoryMap.Run] = [
      .init(device: 0, offset: 0x1020_0000, length: 0x40_0000),
      .init(device: 3, offset: 0x12_3440_0000, length: 0x20_0000),
    ]
    let answer = try fmap(MemoryMap(size: 0x51_2345, .simple(runs)))
    #expect(
      answer.body == [
        0, 0, 1, 0, /* type */ 0, 0, 0, 0, /* extents */ 2, 0, 0, 0, /* reserved */ 0, 0, 0, 0,
        /* size */ 0x45, 0x23, 0x51, 0, 0, 0, 0, 0, /* reserved */ 0, 0, 0, 0, 0, 0, 0, 0,
        /* device */ 0, 0, 0, 0, 0, 0, 0, 0, /* offset */ 0, 0, 0x20, 0x10, 0, 0, 0, 0,
        /* length */ 0, 0, 0x40, 0, 0, 0, 0, 0,
        3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x34, 0x12, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0,
      ])
  }

  @Test("an interleaved map, byte for byte")
  func interleaved() throws {
    let strips: [MemoryMap.Run] = [
      .init(device: 1, offset: 0x80_0000, length: 0x60_0000),
      .init(device: 0, offset: 0x1_0000_0000, length: 0x60_0000),
    ]
    let answer = try fmap(MemoryMap(size: 0xa0_0001, .interleaved([.init(chunkSize: 0x20_0000, strips: strips)])))
    #expect(
      answer.body == [
        0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        /* strips */ 2, 0, 0, 0, /* chunk */ 0, 0, 0x20, 0, /* bytes */ 0, 0, 0xc0, 0, 0, 0, 0, 0,
        /* reserved */ 0, 0, 0, 0, 0, 0, 0, 0,
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 0,
      ])
  }

  @Test(
    "superblock and log are marked",
    arguments: [(.superblock, 1), (.log, 2), (.regular, 0)] as [(MemoryMap.Purpose, UInt8)])
  func purposes(purpose: MemoryMap.Purpose, number: UInt8) throws {
    let runs = [MemoryMap.Run(device: 0, offset: 0, length: 2 * mib)]
    #expect(try fmap(MemoryMap(purpose, size: 2 * mib, .simple(runs))).body.first == number)
  }

  @Test("32 extents and 32 strips fit, and 33 are EFBIG; no reply is longer than 32,768 bytes")
  func limits() throws {
    let runs = { (count: Int) in (0..<count).map { MemoryMap.Run(device: 0, offset: UInt64($0) << 21, length: 2 << 20) }
    }
    #expect(try fmap(MemoryMap(size: 1, .simple(runs(32)))).bytes.count == 16 + 32 + 32 * 24)
    #expect(try fmap(MemoryMap(size: 1, .simple(runs(33)))).error == -EFBIG)
    let stripes = { (count: Int, strips: Int) in
      [MemoryMap.Stripe](repeating: .init(chunkSize: 2 << 20, strips: runs(strips)), count: count)
    }
    let largest = try fmap(MemoryMap(size: 1, .interleaved(stripes(32, 32))))
    #expect(largest.error == 0)
    #expect(largest.body.count == 32 + 32 * 33 * 24 && largest.body.count <= 32768)
    #expect(try fmap(MemoryMap(size: 1, .interleaved(stripes(33, 2)))).error == -EFBIG)
    #expect(try fmap(MemoryMap(size: 1, .interleaved(stripes(1, 33)))).error == -EFBIG)
  }

  @Test("a map is there whatever follows the request, and none for what is no file")
  func requests() throws {
    let map = MemoryMap(size: 1, .simple([.init(device: 0, offset: 0, length: 2 * mib)]))
    let files = MappedFiles(maps: [9: map])
    #expect(try reply(of: files, to: Message.request(.getFmap, node: 9, Message().zeros(100))).error == 0)
    #expect(try reply(of: files, to: Message.request(.getFmap, node: 8)).error == -ESTALE)
    #expect(try reply(of: files, to: Message.request(.getFmap, node: 1)).error == -EISDIR)
    let torn = Message.request(Opcode.getFmap.rawValue, node: 9, length: 41)
    #expect(try reply(of: files, to: torn).error == -EIO)
  }

  @Test("a device's name, with the index in the body or, without one, in the header")
  func devices() throws {
    let files = MappedFiles(devices: [Array("/dev/dax0.0".utf8), Array("/dev/dax1.0".utf8)])
    let expected = Message().u16(1).zeros(22).data(Array("/dev/dax1.0".utf8)).zeros(245).bytes
    #expect(expected.count == 280)
    for request in [
      Message.request(.getDaxdev, node: 0, Message().u32(1)), Message.request(.getDaxdev, node: 1),
      Message.request(.getDaxdev, node: 0, Message().u32(1).zeros(60)),
    ] { #expect(try reply(of: files, to: request).body == expected) }
    #expect(try reply(of: files, to: Message.request(.getDaxdev, Message().u32(2))).error == -ENODEV)
    #expect(try reply(of: files, to: Message.request(.getDaxdev, Message().u32(.max))).error == -ENODEV)
    #expect(try reply(of: files, to: Message.request(.getDaxdev, node: 1 << 40)).error == -ENODEV)
    for count in 1...3 {
      #expect(try reply(of: files, to: Message.request(.getDaxdev, Message().zeros(count))).error == -EPROTO)
    }
  }

  @Test("a name fills 255 bytes at most, and a NUL is no part of one; nothing of an earlier reply is left behind it")
  func names() throws {
    let long = [UInt8](repeating: 0x61, count: 255)
    let files = MappedFiles(devices: [long, long + [0x61], [], [0x2f, 0], Array("/d".utf8)])
    let answers = try replies(of: files, to: (0..<5).map { Message.request(.getDaxdev, Message().u32($0)) })
    #expect(answers.map(\.error) == [0, -ENAMETOOLONG, -EINVAL, -EINVAL, 0])
    #expect(Array(answers[0].body[24...]) == long + [0])
    #expect(answers[4].body[26...].allSatisfy { $0 == 0 })
  }
}
