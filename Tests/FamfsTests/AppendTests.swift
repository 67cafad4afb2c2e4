import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct AppendTests {
  @Test("a committed file is one entry with the bytes of the facts page, and the header counts it")
  func bytes() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    try volume.makeDirectory("dir")
    let number = try volume.create("dir/file", Array(repeating: 0x61, count: 5000))
    #expect(number == .entry(1))
    let directory = HandMade.directory("dir", mode: 0o750, uid: 7, gid: 8)
    let file = HandMade.file(
      "dir/file", size: 5000, [Extent(offset: 10 << 20, length: 8192)], mode: 0o640, uid: 7, gid: 8)
    #expect(device.peek(HandMadeVolume.place(of: 0), 544) == directory.sealed(0))
    #expect(device.peek(HandMadeVolume.place(of: 1), 544) == file.sealed(1))
    #expect(device.isZero(HandMadeVolume.place(of: 2), 544))
    #expect(device.peek(HandMade.logStart, 48) == HandMade.logHeader(nextSequence: 2, nextIndex: 2).bytes)
    #expect(try volume.contents(of: number) == Array(repeating: 0x61, count: 5000))
    #expect(try volume.items() == Volume(on: device, host: Host.client).items())
  }

  @Test("a reservation is nothing that anybody sees, on media least of all")
  func reservation() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    let before = device.sum(0, 3 << 20)
    let free = volume.usage().free
    let reservation = try volume.reserve("file", size: 4097)
    #expect(reservation.extents == [Extent(offset: 10 << 20, length: 8192)])
    #expect(device.sum(0, 3 << 20) == before)
    #expect(try volume.items().isEmpty)
    #expect(volume.usage().free == free - 8192)
    #expect(volume.follow().files == 0)
    volume.cancel(reservation.id)
    #expect(volume.usage().free == free)
    #expect(device.sum(0, 3 << 20) == before)
  }

  @Test("a reservation ends once: by commit, or by cancel")
  func ends() throws {
    let volume = try Volume(on: newVolume(), host: Host.master)
    let first = try volume.reserve("first", size: 1)
    volume.cancel(first.id)
    volume.cancel(first.id)
    #expect(refusal { try volume.commit(first.id) } == "noReservation")
    let second = try volume.reserve("second", size: 1)
    #expect(second.id != first.id)
    #expect(second.extents == first.extents)
    try volume.commit(second.id)
    #expect(refusal { try volume.commit(second.id) } == "noReservation")
    volume.cancel(second.id)
    #expect(try volume.reserve("third", size: 1).extents != second.extents)
    #expect(refusal { try volume.commit(999) } == "noReservation")
    #expect(try volume.names(in: .root) == [".meta", "second"])
  }

  @Test("files come in the order of their commits, not of their reservations")
  func order() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    let reservations = try ["a", "b", "c"].map { try volume.reserve($0, size: 1) }
    for reservation in [reservations[2], reservations[0], reservations[1]] { try volume.commit(reservation.id) }
    #expect(try volume.names(in: .root) == [".meta", "c", "a", "b"])
    let again = try Volume(on: device, host: Host.master)
    #expect(try again.names(in: .root) == [".meta", "c", "a", "b"])
    #expect(again.report().isClean)
  }

  @Test("a client may not add anything")
  func client() throws {
    let device = try newVolume()
    let before = device.sum(0, 3 << 20)
    let volume = try Volume(on: device, host: Host.client)
    let error = #expect(throws: FamfsError.self) { try volume.makeDirectory("dir") }
    #expect(error.map { "\($0)" }?.contains("\(Host.master)") == true)
    #expect(error?.errno == .readOnlyFileSystem)
    #expect(refusal { _ = try volume.reserve("file", size: 1) } == "notMaster")
    #expect(device.sum(0, 3 << 20) == before)
  }

  @Test("a name is given out once: to a file, a directory or a reservation")
  func names() throws {
    let volume = try Volume(on: newVolume(), host: Host.master)
    try volume.create("file", [1])
    try volume.makeDirectory("dir")
    let reservation = try volume.reserve("dir/reserved", size: 1)
    for path in ["file", "dir", "dir/reserved", ".meta"] {
      #expect(refusal { _ = try volume.reserve(path, size: 1) } == "exists", "\(path)")
      #expect(refusal { try volume.makeDirectory(path) } == "exists", "\(path)")
    }
    volume.cancel(reservation.id)
    try volume.makeDirectory("dir/reserved")
    #expect(volume.report().isClean)
  }

  @Test(
    "an empty file has an extent of one unit, alone and where files are striped",
    arguments: [4096, 2 << 20] as [UInt64])
  func emptyFiles(unit: UInt64) throws {
    let device = try newVolume(unit: unit)
    let volume = try Volume(on: device, host: Host.master)
    let free = volume.usage().free
    for (name, striping) in [("a", nil), ("b", Striping(strips: 2, buckets: 2, chunkSize: 2 << 20))] {
      let made = try volume.reserve(
        path: EntryPath(name), size: 0, permissions: 0o644, userID: 0, groupID: 0, striping: striping)
      try volume.commit(made.id)
    }
    #expect(volume.usage().free == free - 2 * unit && volume.usage().fileBytes == 0)
    let again = try Volume(on: device, host: Host.master)
    #expect(again.report().isClean && again.usage().free == free - 2 * unit)
    for name in ["a", "b"] {
      let layout = again.layout(of: try again.number(of: name))
      #expect(layout.chunkSize == 0 && layout.extents.array.map(\.length) == [unit])
    }
  }

  @Test("a new path needs a directory to be in, and .meta is not to be had")
  func parents() throws {
    let volume = try Volume(on: newVolume(), host: Host.master)
    try volume.create("file", [1])
    let wanted = [
      "missing/a": "noParent", "missing/a/b": "noParent", "file/a": "parentIsFile", ".meta/a": "reserved",
      ".meta/.log": "reserved", ".meta/.log/a": "parentIsFile",
    ]
    for (path, error) in wanted {
      #expect(refusal { _ = try volume.reserve(path, size: 1) } == error, "\(path)")
      #expect(refusal { try volume.makeDirectory(path) } == error, "\(path)")
    }
    #expect(volume.usage().entries == 1)
  }

  @Test(
    "a volume can be filled to its last unit, and says what is missing then", arguments: [4096, 2 << 20] as [UInt64])
  func noSpace(unit: UInt64) throws {
    let device = try newVolume(unit: unit)
    let volume = try Volume(on: device, host: Host.master)
    for size: UInt64 in [(6 << 20) + 1, .max, .max - unit] {
      #expect(refusal { _ = try volume.reserve("large", size: size) } == "noSpace")
    }
    let all = try volume.reserve("all", size: 6 << 20)
    #expect(all.extents == [Extent(offset: 10 << 20, length: 6 << 20)])
    let error = #expect(throws: FamfsError.self) { try volume.reserve("more", size: 1) }
    #expect(error.map { "\($0)" } == "more: no space: 1 bytes are needed and 0 are free; use a larger device")
    #expect(error?.errno == .noSpace)
    try volume.commit(all.id)
    #expect(try Volume(on: device, host: Host.master).usage().free == 0)
  }

  @Test("a full log takes no more, and a reservation keeps its slot")
  func logFull() throws {
    var hand = HandMadeVolume()
    for number in 0..<15_417 { hand.append(.directory("d\(number)")) }
    let volume = try hand.open()
    #expect(volume.report().isClean)
    let reservation = try volume.reserve("d0/file", size: 1)
    try volume.makeDirectory("d1/last but one")
    try volume.makeDirectory("d2/last but reserved")
    #expect(refusal { try volume.makeDirectory("none left") } == "logFull")
    try volume.commit(reservation.id)
    #expect(refusal { _ = try volume.reserve("none left", size: 1) } == "logFull")
    let again = try hand.open()
    #expect(again.usage().entries == again.usage().entryCapacity)
    #expect(again.report().isClean)
    #expect(try again.contents(of: again.number(of: "d0/file")).count == 1)
    #expect(hand.device.isZero(10 << 20, 16), "the log ends before the data")
  }

  @Test("a name that another program took between reservation and commit is not written twice")
  func nameTaken() throws {
    var hand = HandMadeVolume()
    let volume = try hand.open()
    let reservation = try volume.reserve("name", size: 1)
    hand.append(.directory("name"))
    _ = volume.follow()
    #expect(refusal { try volume.commit(reservation.id) } == "exists")
    #expect(try hand.open().report().isClean)
    #expect(volume.usage().free == 6 << 20)
  }

  @Test("space that another program used between reservation and commit is not used twice")
  func spaceTaken() throws {
    var hand = HandMadeVolume()
    let volume = try hand.open()
    let reservation = try volume.reserve("mine", size: 1)
    hand.append(.file("theirs", size: 1, [hand.units(0)]))
    #expect(refusal { try volume.commit(reservation.id) } != nil)
    #expect(try Array(hand.open().items().keys) == ["theirs"])
    #expect(try hand.open().report().isClean)
  }

  @Test("follow tells of this host's own appends too")
  func news() throws {
    let volume = try Volume(on: newVolume(), host: Host.master)
    let directory = try volume.makeDirectory("dir")
    try volume.create("dir/a", [1])
    try volume.create("dir/b", [1])
    let news = volume.follow()
    #expect(news.directories == [.root, directory])
    #expect(news.files == 2)
    #expect(news.newDirectories == 1)
    #expect(volume.follow().directories.isEmpty)
    #expect(volume.follow().files == 0)
  }
}
