import Blocks
import Ext4
import Ext4TestSupport
import Glibc
import Platform
import Testing

/// The file system in an image.
func openVolume(_ path: String, cacheSize: Int = 4 << 20, skippingRecovery: Bool = false) throws -> Volume {
  var options = Volume.Options()
  (options.cacheSize, options.skipsRecovery) = (cacheSize, skippingRecovery)
  return try Volume(on: FileDevice(opening: path, isWritable: false), options)
}

extension Volume {
  /// All that is below the root, by path, as `mountedTree` tells it of a mount.
  func tree(hashing: Bool = true) throws -> [String: Item] {
    var items: [String: Item] = [:]
    var directories: [(String, UInt32)] = [("", Volume.root)]
    while let (path, number) = directories.popLast() {
      let directory = try node(inUse: number)
      items[path.isEmpty ? "/" : path] = try item(directory, hashing: hashing)
      for (name, inode) in try names(in: directory) {
        let node = try node(inUse: inode)
        if node.inode.kind == .directory {
          directories.append((path + "/" + name, inode))
        } else {
          items[path + "/" + name] = try item(node, hashing: hashing)
        }
      }
    }
    return items
  }

  /// The names in a directory and their inodes, in the order of the listing.
  /// - Parameter batch: entries that are taken before the listing is begun anew at its cookie.
  func names(in directory: Node, batch: Int = .max) throws -> [(String, UInt32)] {
    var found: [(String, UInt32)] = []
    var (cookie, isDone): (UInt64, Bool) = (0, false)
    while !isDone {
      isDone = true
      var left = batch
      try list(directory, from: cookie) { (name, entry) throws(Ext4Error) in
        if left == 0 {
          isDone = false
          return false
        }
        left -= 1
        guard entry.next > cookie else { throw .corrupted(.directory(directory.number), "a cookie went back") }
        cookie = entry.next
        let text = name.withUnsafeBytes { String(fileName: $0) }
        if text != "." && text != ".." { found.append((text, entry.inode)) }
        return true
      }
    }
    return found
  }

  func item(_ node: Node, hashing: Bool = true) throws -> Item {
    let inode = node.inode
    var item = Item()
    (item.inode, item.mode, item.owner) = (UInt64(node.number), UInt32(inode.mode), [inode.uid, inode.gid])
    (item.size, item.links) = (inode.size, UInt64(inode.linksCount))
    item.blocks = sectors(of: node)
    item.times = [inode.atime, inode.mtime, inode.ctime].flatMap { [$0.seconds, Int64($0.nanoseconds)] }
    switch inode.kind {
    case .regular where hashing: (item.contents, item.data) = try contentsAndData(of: node)
    case .symbolicLink: item.contents = String(decoding: try target(of: node), as: UTF8.self)
    case .characterDevice, .blockDevice:
      let (major, minor) = (inode.device >> 8 & 0xfff, inode.device & 0xff | inode.device >> 12 & 0xfff00)
      item.device = deviceNumber(major, minor)
    default: break
    }
    if inode.kind != .symbolicLink {
      for name in try xattrNames(of: node) {
        item.xattrs[String(decoding: name, as: UTF8.self)] = try xattr(name.span.bytes, of: node)
      }
    }
    return item
  }

  private func contentsAndData(of node: Node) throws -> (String, [Range<UInt64>]) {
    var hash = ContentsHash()
    var data: [Range<UInt64>] = []
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { piece.deallocate() }
    var place: UInt64 = 0
    while let start = try seek(node, from: place, toHole: false) {
      let end = try #require(try seek(node, from: start, toHole: true))
      data.append(start..<end)
      var at = start
      while at < end {
        let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(min(UInt64(piece.count), end - at))])
        #expect(try read(node, at: at, into: part) == part.count)
        hash.add(UnsafeRawBufferPointer(part))
        at += UInt64(part.count)
      }
      place = end
    }
    return (hash.text, data)
  }

  /// The inode at a path.
  func node(at path: String) throws -> Node {
    var node = try node(inUse: Volume.root)
    for name in path.split(separator: "/") {
      let number = try Array(name.utf8).withRawSpan { try lookup($0, in: node) }
      node = try self.node(inUse: try #require(number, "\(path): no \(name)"))
    }
    return node
  }
}
