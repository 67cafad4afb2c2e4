import Blocks
import Platform

extension Volume {
  /// What a symbolic link says.
  /// - Throws: EINVAL when the node is not one.
  public func target(of node: Node) throws(Ext4Error) -> [UInt8] {
    guard node.inode.kind == .symbolicLink else { throw .errno(.invalidArgument) }
    try checkReadable(node)
    let size = node.inode.size
    guard size > 0, size < UInt64(geometry.blockSize) else {
      throw .corrupted(.symlink(node.number), "its target has \(size) bytes")
    }
    let target: [UInt8]
    if isFast(node) {
      guard size <= InodeBlock.size else { throw .corrupted(.symlink(node.number), "its target is not in its inode") }
      target = node.inode.block.withBytes { $0.extracting(0..<Int(size)).withUnsafeBytes { Array($0) } }
    } else {
      target = try contents(of: node, count: Int(size))
    }
    guard let first = target.first, first != 0 else { throw .corrupted(.symlink(node.number), "its target is empty") }
    return Array(target.prefix { $0 != 0 })
  }

  /// Whether the target is in the inode's block: old kernels put short ones into blocks, too, so the size does not tell.
  private func isFast(_ node: Node) -> Bool {
    if node.inode.flags.contains(.inlineData) { return false }
    // What xattrs have in inodes of their own is counted among this one's blocks.
    if superblock.featureIncompat.contains(.eaInode) { return node.inode.size < InodeBlock.size }
    let cluster = UInt64(geometry.blockSize) * UInt64(geometry.clusterRatio)
    let unit: UInt64 = node.inode.flags.contains(.hugeFile) ? UInt64(geometry.blockSize) : 512
    let xattrs = node.inode.fileAcl == 0 ? 0 : cluster / unit
    return node.inode.blocks <= xattrs
  }

  /// The first bytes of a small file.
  func contents(of node: Node, count: Int) throws(Ext4Error) -> [UInt8] {
    var failure: Ext4Error?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      do throws(Ext4Error) { done = try read(node, at: 0, into: UnsafeMutableRawBufferPointer(buffer)) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
