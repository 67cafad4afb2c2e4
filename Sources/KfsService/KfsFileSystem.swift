import Ext4
import Fuse
import Glibc
import Platform

/// An ext4 volume answered over FUSE, for reading.
///
/// Nothing else changes the image as long as it is open, so the kernel may keep names, absent names, attributes and contents
/// for good, and needs to open and close nothing. Methods read from the device on the thread that serves the request.
public final class KfsFileSystem: FileSystem {
  /// Files need no open: see above. ACLs are kept, and checked by the kernel.
  public let traits: FileSystemTraits = [.withoutOpen, .withoutOpendir, .posixACL, .cachedSymlinks]
  /// The volume.
  public let volume: Volume
  private let report: @Sendable (Ext4Error) -> Void

  /// Answers for a volume.
  /// - Parameter report: is told of each error that means damage.
  public init(of volume: Volume, report: @escaping @Sendable (Ext4Error) -> Void) {
    (self.volume, self.report) = (volume, report)
  }

  /// What would change something.
  public func refusal(of opcode: Opcode) -> Errno { .readOnlyFileSystem }

  /// Does something with the volume; damage is reported.
  private func attempt<Result>(_ body: () throws(Ext4Error) -> Result) throws(Errno) -> Result {
    do throws(Ext4Error) { return try body() } catch {
      if error.isDamage { report(error) }
      throw error.errno
    }
  }

  // MARK: nodes

  /// The file that has, or had, this number: which one it was tells the generation.
  private func node(_ id: NodeID) throws(Ext4Error) -> Node {
    if id == .root { return try volume.node(inUse: Volume.root) }
    let (number, generation) = (UInt32(truncatingIfNeeded: id.rawValue), UInt32(id.rawValue >> 32))
    // A number that the kernel was never given.
    guard number >= 1, number <= volume.geometry.inodesCount else { throw .errno(.stale) }
    return try volume.node(inUse: number, generation: generation)
  }

  private func id(of node: Node) -> NodeID {
    if node.number == Volume.root { return .root }
    return NodeID(rawValue: UInt64(node.inode.generation) << 32 | UInt64(node.number))
  }

  private func entry(_ node: Node) -> Entry {
    Entry(id(of: node), attributes(of: node), nameLifetime: .max, attributeLifetime: .max)
  }

  private func attributes(of node: Node) -> Attributes {
    let inode = node.inode
    var attributes = Attributes(inode: UInt64(node.number), mode: UInt32(inode.mode))
    attributes.size = inode.size
    attributes.blocks = volume.sectors(of: node)
    (attributes.userID, attributes.groupID) = (inode.uid, inode.gid)
    attributes.linkCount = UInt32(inode.linksCount)
    if inode.kind == .characterDevice || inode.kind == .blockDevice { attributes.specialDevice = inode.device }
    attributes.blockSize = UInt32(volume.geometry.blockSize)
    attributes.accessTime = Timestamp(inode.atime)
    attributes.modificationTime = Timestamp(inode.mtime)
    attributes.changeTime = Timestamp(inode.ctime)
    // Up to the last byte of the birth time: without them the inode does not tell it.
    if inode.extraIsize >= 0x98 - UInt16(Inode.oldSize) { attributes.birthTime = Timestamp(inode.crtime) }
    return attributes
  }

  /// An absent name is remembered, too.
  public func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    try attempt { () throws(Ext4Error) in
      guard let number = try volume.lookup(name, in: node(directory)) else { return .absent(for: .max) }
      return entry(try child(number, of: directory))
    }
  }

  /// What a name refers to. One that is not in use is damage here, and not ESTALE: the kernel would ask again and again.
  private func child(_ number: UInt32, of directory: NodeID) throws(Ext4Error) -> Node {
    do throws(Ext4Error) { return try volume.node(inUse: number) } catch {
      guard error == .errno(.stale) else { throw error }
      throw .corrupted(.inode(number), "a name refers to it, and it is not in use")
    }
  }

  /// From the cache, or from the inode's table.
  public func getattr(_ id: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    try attempt { () throws(Ext4Error) in CachedAttributes(attributes(of: try node(id)), lifetime: .max) }
  }

  /// As it stands on media, up to a NUL.
  public func readlink(
    _ id: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let target = try attempt { () throws(Ext4Error) in try volume.target(of: node(id)) }
    guard target.count <= buffer.count else { throw .nameTooLong }
    buffer.copyBytes(from: target)
    return target.count
  }

  /// Free space as of the mount: nothing is written.
  public func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    let found = volume.status
    var status = FileSystemStatus()
    (status.blocks, status.freeBlocks) = (found.blocks, found.freeBlocks)
    status.availableBlocks = found.availableBlocks
    (status.files, status.freeFiles) = (found.inodes, found.freeInodes)
    status.blockSize = UInt32(volume.geometry.blockSize)
    return status
  }

  // MARK: contents

  /// Bytes of the image's file, run by run.
  public func read(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    let file = try attempt { () throws(Ext4Error) in try node(id) }
    guard file.inode.kind == .regular else { throw .invalidArgument }
    while reply.missing > 0 {
      let place = offset + UInt64(reply.count)
      guard let bytes = try attempt({ () throws(Ext4Error) in try volume.bytes(of: file, at: place) }) else { return }
      let count = Int(min(bytes.count, UInt64(reply.missing)))
      switch bytes.place {
      case .zeros: try reply.append(zeros: count)
      case .inline:
        try reply.append(upTo: count) { (buffer) throws(Errno) in
          try attempt { () throws(Ext4Error) in try volume.readInline(file, at: place, into: buffer) }
          return buffer.count
        }
      case .device(let start): try append(count, of: start, to: &reply)
      }
    }
  }

  private func append(_ count: Int, of start: UInt64, to reply: inout ReadReply) throws(Errno) {
    let before = reply.count
    guard let file = volume.device.file else {
      return try reply.append(upTo: count) { (buffer) throws(Errno) in
        try attempt { () throws(Ext4Error) in try volume.read(deviceAt: start, into: buffer) }
        return buffer.count
      }
    }
    try reply.append(file: file.descriptor, at: file.start + start, count: count)
    // The image was cut short: an end here would be taken for the file's.
    if reply.count - before < count { throw .inputOutput }
  }

  /// Holes are the file's own; what was never written is one, too.
  public func lseek(
    _ id: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    let found = try attempt { () throws(Ext4Error) in
      try volume.seek(node(id), from: offset, toHole: target == .hole)
    }
    guard let found else { throw .noSuchAddress }
    return found
  }

  // MARK: directories

  /// In the order of names' hashes, where the directory has them.
  public func readdir(
    _ id: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    try withUnsafeMutablePointer(to: &reply) { (reply) throws(Errno) in
      try attempt { () throws(Ext4Error) in
        try volume.list(node(id), from: cookie) { (name, listed) throws(Ext4Error) in
          let entry = try self.entry(listed, isPlus: reply.pointee.isPlus, in: id)
          return reply.pointee.add(name, entry, next: listed.next) != .full
        }
      }
    }
  }

  /// With the inode's attributes where they are wanted, or the entry does not tell the type. One inode that cannot be read
  /// does not keep the others from being listed: its name comes without it.
  private func entry(_ listed: ListedEntry, isPlus: Bool, in directory: NodeID) throws(Ext4Error) -> Entry {
    let type = listed.fileType.kind.map { UInt32($0.rawValue) }
    let nameOnly = Entry(
      NodeID(rawValue: 0), Attributes(inode: UInt64(listed.inode), mode: type ?? 0), nameLifetime: 0,
      attributeLifetime: 0)
    if type != nil && !isPlus { return nameOnly }
    do throws(Ext4Error) { return entry(try child(listed.inode, of: directory)) } catch {
      if error.isDamage { report(error) }
      return nameOnly
    }
  }

  // MARK: attributes

  /// ACLs in the form that processes see.
  public func getxattr(
    _ id: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let value = try attempt { () throws(Ext4Error) in try volume.xattr(name, of: node(id)) }
    guard let value else { throw .noData }
    if value.count <= buffer.count { buffer.copyBytes(from: value) }
    return value.count
  }

  /// Those in trusted. only for root, as on the kernel's ext4.
  public func listxattr(
    _ id: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let names = try attempt { () throws(Ext4Error) in try volume.xattrNames(of: node(id)) }
    var list: [UInt8] = []
    for name in names where caller.userID == 0 || !name.starts(with: XattrPrefix.trusted.text.utf8) {
      list += name
      list.append(0)
    }
    if list.count <= buffer.count { buffer.copyBytes(from: list) }
    return list.count
  }

  /// lsattr(1).
  public func fileFlags(_ id: NodeID, _ caller: Caller) throws(Errno) -> FileFlags {
    let flags = try attempt { () throws(Ext4Error) in try node(id).inode.flags }
    return FileFlags(rawValue: flags.intersection(.visible).rawValue)
  }

  /// Refused.
  public func setFileFlags(_ id: NodeID, _ flags: FileFlags, _ caller: Caller) throws(Errno) {
    throw .readOnlyFileSystem
  }
}

extension Timestamp {
  /// An inode's time; from damaged media it may have more nanoseconds than a second.
  init(_ time: InodeTime) { self.init(seconds: time.seconds, nanoseconds: min(time.nanoseconds, 999_999_999)) }
}
