import Famfs
import Memory
import Platform

/// Numbers are 8 bytes, little-endian; texts are their length in bytes and UTF-8.
struct MessageWriter {
  var bytes: [UInt8] = []

  mutating func put(_ number: UInt64) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func put(_ text: String) {
    put(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  mutating func put(_ layout: FileLayout) {
    put(layout.chunkSize)
    put(UInt64(layout.extents.count))
    for extent in layout.extents.array {
      for number in [extent.device, extent.offset, extent.length] { put(number) }
    }
  }

  mutating func put(_ status: MountStatus) {
    for number in [
      status.mountMajor, status.mountMinor, status.isMaster ? 1 : 0, status.isNamed ? 1 : 0, status.isStrict ? 1 : 0,
      status.processID,
      status.entries,
      status.entryCapacity, status.badEntries, status.files, status.directories, status.usedBytes, status.freeBytes,
    ] { put(number) }
    for text in ["\(status.volumeUUID)", "\(status.masterUUID)", status.dataPath] { put(text) }
  }

  mutating func put(_ peer: Peer) {
    let beat = peer.beat
    put("\(beat.host)")
    for number in [
      beat.mount, beat.isMaster ? 1 : 0, beat.since, beat.time, beat.count, beat.entries, peer.age == nil ? 0 : 1,
      peer.age ?? 0,
    ] { put(number) }
    put(beat.hostName)
  }

  mutating func put(_ device: DeviceUsage) {
    for number in [device.index, device.size, device.free, device.pages?.size ?? 0] { put(number) }
    // All devices must fit one message.
    let trouble = String(decoding: (device.trouble ?? "").utf8.prefix(1000), as: UTF8.self)
    for text in ["\(device.uuid)", device.path ?? "", trouble, device.pages?.origin ?? ""] { put(text) }
  }

  mutating func put(_ name: NewName) {
    put(name.path)
    for number in [name.permissions, name.userID, name.groupID] { put(UInt64(number)) }
  }
}

struct MessageReader {
  private var rest: Slice<UnsafeRawBufferPointer>

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

  mutating func number() throws(Errno) -> UInt64 {
    guard rest.count >= 8 else { throw .protocolError }
    defer { rest = rest.dropFirst(8) }
    return UnsafeRawBufferPointer(rebasing: rest).bytes.u64(0)
  }

  mutating func numbers() throws(Errno) -> [UInt64] {
    guard let count = Int(exactly: try number()), count <= rest.count / 8 else { throw .protocolError }
    var numbers: [UInt64] = []
    for _ in 0..<count { numbers.append(try number()) }
    return numbers
  }

  mutating func number32() throws(Errno) -> UInt32 {
    guard let number = UInt32(exactly: try number()) else { throw .protocolError }
    return number
  }

  mutating func text() throws(Errno) -> String {
    guard let count = Int(exactly: try number()), count <= rest.count else { throw .protocolError }
    defer { rest = rest.dropFirst(count) }
    guard let text = String(validating: rest.prefix(count), as: UTF8.self) else { throw .protocolError }
    return text
  }

  mutating func cache() throws(Errno) -> CachePolicy? {
    let text = try text()
    if text.isEmpty { return nil }
    guard let cache = CachePolicy(rawValue: text) else { throw .protocolError }
    return cache
  }

  /// A number with a word before it that says whether there is one.
  mutating func optionalNumber() throws(Errno) -> UInt64? {
    let (isThere, number) = (try number() != 0, try number())
    return isThere ? number : nil
  }

  mutating func layout() throws(Errno) -> FileLayout {
    let chunkSize = try number()
    let count = try number()
    guard count <= ExtentList.capacity else { throw .protocolError }
    var extents = ExtentList()
    for _ in 0..<count {
      extents.append(Extent(device: try number(), offset: try number(), length: try number()))
    }
    return FileLayout(extents, chunkSize: chunkSize)
  }

  mutating func status() throws(Errno) -> MountStatus {
    var status = MountStatus(
      mountMajor: try number32(), mountMinor: try number32(), isMaster: try number() != 0)
    (status.isNamed, status.isStrict) = (try number() != 0, try number() != 0)
    status.processID = try number()
    (status.entries, status.entryCapacity, status.badEntries) = (try number(), try number(), try number())
    (status.files, status.directories) = (try number(), try number())
    (status.usedBytes, status.freeBytes) = (try number(), try number())
    (status.volumeUUID, status.masterUUID) = (try uuid(), try uuid())
    status.dataPath = try text()
    return status
  }

  mutating func peer() throws(Errno) -> Peer {
    let host = try uuid()
    var beat = Heartbeat(
      host: host, mount: try number(), isMaster: try number() != 0, since: try number(), hostName: "")
    (beat.time, beat.count, beat.entries) = (try number(), try number(), try number())
    let (hasAge, age) = (try number() != 0, try number())
    beat.hostName = try text()
    return Peer(beat: beat, age: hasAge ? age : nil)
  }

  mutating func device() throws(Errno) -> DeviceUsage {
    let (index, size, free, page) = (try number(), try number(), try number(), try number())
    let (uuid, path, trouble, origin) = (try uuid(), try text(), try text(), try text())
    return DeviceUsage(
      index: index, uuid: uuid, size: size, free: free, path: path.isEmpty ? nil : path,
      trouble: trouble.isEmpty ? nil : trouble, pages: page == 0 ? nil : DevicePages(size: page, origin: origin))
  }

  private mutating func uuid() throws(Errno) -> UUID {
    guard let uuid = UUID(try text()) else { throw .protocolError }
    return uuid
  }

  mutating func name() throws(Errno) -> NewName {
    NewName(path: try text(), permissions: try number32(), userID: try number32(), groupID: try number32())
  }
}

/// The longest control message, in bytes: as many devices as can be, each with the longest path.
let controlMessageLimit = 128 << 10
