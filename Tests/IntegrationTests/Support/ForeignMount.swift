import Fuse
import Glibc
import Platform

/// A mount that says it is a famfs of a device, as a user's program can make one: type and source are what it likes. Detached
/// with the last reference, at the latest.
final class ForeignMount {
  let path: String
  private var server: Thread?

  /// Mounts; without a file system to serve nothing is ever answered there.
  /// - Parameters:
  ///   - source: what the mount table is to show as the device.
  ///   - user: who mounts, as the kernel says.
  init(at path: String, source: String, user: UInt32, serving files: (any FileSystem)? = nil) throws {
    self.path = path
    let door = try FileDescriptor(opening: "/dev/fuse", .readWrite)
    let options = "fd=\(door.rawValue),rootmode=40000,user_id=\(user),group_id=\(user),allow_other"
    try retrying { mount(source, path, "fuse.famfs", UInt(MS_NOSUID | MS_NODEV), options) }
    if let files {
      server = try ForeignMount.serve(files, over: DevFuse(door))
    } else {
      silentDoor = door.release()
    }
  }

  /// Held open: closed, the mount would answer an error.
  private var silentDoor: Int32 = -1

  private static func serve(_ files: some FileSystem, over door: DevFuse) throws -> Thread {
    let session = Session(files, over: door)
    return try Thread(named: "foreign") { _ = try? session.run(threads: 2) }
  }

  func end() {
    umount2(path, 2)
    if silentDoor >= 0 { close(silentDoor) }
    silentDoor = -1
    server?.join()
    server = nil
  }

  deinit { end() }
}

/// A root with one file, `f`, that says where its bytes lie.
final class Liar: FileSystem {
  static let file = NodeID(rawValue: 2)
  private let size: UInt64
  private let map: [UInt8]

  init(size: UInt64, map: [UInt8]) { (self.size, self.map) = (size, map) }

  private func attributes(_ node: NodeID) -> Attributes {
    var attributes = Attributes(
      inode: node.rawValue, mode: node == .root ? S_IFDIR | 0o755 : S_IFREG | 0o666)
    attributes.size = node == .root ? 0 : size
    return attributes
  }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    guard directory == .root, name.withUnsafeBytes({ $0.elementsEqual("f".utf8) }) else { throw .noEntry }
    return Entry(Liar.file, attributes(Liar.file), nameLifetime: .max, attributeLifetime: .max)
  }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    CachedAttributes(attributes(node), lifetime: .max)
  }

  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    Opened(.none, .keepCache)
  }

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) { try reply.append(zeros: reply.missing) }

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {}

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int { data.count }

  func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    guard name.withUnsafeBytes({ $0.elementsEqual("user.famfs.map".utf8) }) else { throw .noData }
    if buffer.count >= map.count { buffer.copyBytes(from: map) }
    return map.count
  }
}
