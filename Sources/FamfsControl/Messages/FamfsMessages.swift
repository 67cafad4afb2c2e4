import ControlChannel
import Famfs
import Memory
import Platform

// How what famfs says travels over the control socket.

extension MessageWriter {
  package mutating func put(_ layout: FileLayout) {
    put(layout.chunkSize)
    put(UInt64(layout.extents.count))
    for extent in layout.extents.array {
      for number in [extent.device, extent.offset, extent.length] { put(number) }
    }
  }

  package mutating func put(_ status: MountStatus) {
    for number in [
      status.mountMajor, status.mountMinor, status.isMaster ? 1 : 0, status.isNamed ? 1 : 0, status.isStrict ? 1 : 0,
      status.processID,
      status.entries,
      status.entryCapacity, status.badEntries, status.files, status.directories, status.usedBytes, status.freeBytes,
    ] { put(number) }
    for text in ["\(status.volumeUUID)", "\(status.masterUUID)", status.dataPath] { put(text) }
  }

  package mutating func put(_ peer: Peer) {
    let heartbeat = peer.heartbeat
    put("\(heartbeat.host)")
    for number in [
      heartbeat.mount, heartbeat.isMaster ? 1 : 0, heartbeat.since, heartbeat.time, heartbeat.count, heartbeat.entries,
      peer.age == nil ? 0 : 1,
      peer.age ?? 0,
    ] { put(number) }
    put(heartbeat.hostName)
  }

  package mutating func put(_ device: DeviceUsage) {
    for number in [device.index, device.size, device.free, device.pages?.size ?? 0] { put(number) }
    // All devices must fit one message.
    let trouble = String(decoding: (device.trouble ?? "").utf8.prefix(1000), as: UTF8.self)
    for text in ["\(device.uuid)", device.path ?? "", trouble, device.pages?.origin ?? ""] { put(text) }
  }

  package mutating func put(_ name: NewName) {
    put(name.path)
    for number in [name.permissions, name.userID, name.groupID] { put(UInt64(number)) }
  }
}

extension MessageReader {
  package mutating func cache() throws(Errno) -> CachePolicy? {
    let text = try text()
    if text.isEmpty { return nil }
    guard let cache = CachePolicy(rawValue: text) else { throw .protocolError }
    return cache
  }

  package mutating func layout() throws(Errno) -> FileLayout {
    let chunkSize = try number()
    let count = try number()
    guard count <= ExtentList.capacity else { throw .protocolError }
    var extents = ExtentList()
    for _ in 0..<count {
      extents.append(Extent(device: try number(), offset: try number(), length: try number()))
    }
    return FileLayout(extents, chunkSize: chunkSize)
  }

  package mutating func status() throws(Errno) -> MountStatus {
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

  package mutating func peer() throws(Errno) -> Peer {
    let host = try uuid()
    var heartbeat = Heartbeat(
      host: host, mount: try number(), isMaster: try number() != 0, since: try number(), hostName: "")
    (heartbeat.time, heartbeat.count, heartbeat.entries) = (try number(), try number(), try number())
    let (hasAge, age) = (try number() != 0, try number())
    heartbeat.hostName = try text()
    return Peer(heartbeat: heartbeat, age: hasAge ? age : nil)
  }

  package mutating func device() throws(Errno) -> DeviceUsage {
    let (index, size, free, page) = (try number(), try number(), try number(), try number())
    let (uuid, path, trouble, origin) = (try uuid(), try text(), try text(), try text())
    return DeviceUsage(
      index: index, uuid: uuid, size: size, free: free, path: path.isEmpty ? nil : path,
      trouble: trouble.isEmpty ? nil : trouble, pages: page == 0 ? nil : DevicePages(size: page, origin: origin))
  }

  package mutating func name() throws(Errno) -> NewName {
    NewName(path: try text(), permissions: try number32(), userID: try number32(), groupID: try number32())
  }
}
