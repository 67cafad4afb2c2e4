import Blocks
import Platform

/// A structure on media, by what tells it from others.
public enum Structure: Equatable, Sendable, CustomStringConvertible {
  /// The superblock.
  case superblock
  /// The descriptor of a group.
  case groupDescriptor(UInt32)
  /// An inode.
  case inode(UInt32)
  /// A node of an inode's extent tree: the inode's own, or the one in a block.
  case extents(inode: UInt32), extentBlock(inode: UInt32, UInt64)
  /// A block of pointers of an inode.
  case indirectBlock(inode: UInt32, UInt64)
  /// A directory, and one of its blocks, counted from its start.
  case directory(UInt32), directoryBlock(inode: UInt32, UInt64)
  /// A root or node of a directory's htree.
  case hashTreeBlock(inode: UInt32, UInt64)
  /// The target of a symbolic link.
  case symlink(UInt32)
  /// Xattrs in an inode, in a block, or one value in an inode of its own.
  case inodeXattrs(UInt32), xattrBlock(inode: UInt32, UInt64), xattrInode(UInt32)
  /// The contents of a file that lie in its inode.
  case inlineData(UInt32)
  /// The journal.
  case journal

  /// Its name.
  public var description: String {
    switch self {
    case .superblock: "the superblock"
    case .groupDescriptor(let group): "the descriptor of group \(group)"
    case .inode(let number): "inode \(number)"
    case .extents(let inode): "the extent tree in inode \(inode)"
    case .extentBlock(let inode, let block): "the extent block \(block) of inode \(inode)"
    case .indirectBlock(let inode, let block): "the indirect block \(block) of inode \(inode)"
    case .directory(let inode): "directory \(inode)"
    case .directoryBlock(let inode, let block): "block \(block) of directory \(inode)"
    case .hashTreeBlock(let inode, let block): "htree block \(block) of directory \(inode)"
    case .symlink(let inode): "symbolic link \(inode)"
    case .inodeXattrs(let inode): "the xattrs in inode \(inode)"
    case .xattrBlock(let inode, let block): "the xattr block \(block) of inode \(inode)"
    case .xattrInode(let inode): "the xattr value in inode \(inode)"
    case .inlineData(let inode): "the inline data of inode \(inode)"
    case .journal: "the journal"
    }
  }
}

/// Why something could not be done with an ext4 file system.
public enum Ext4Error: Error, Equatable, Sendable, CustomStringConvertible {
  /// The device could not be read.
  case device(BlockDeviceError)
  /// A structure's checksum is wrong.
  case badChecksum(Structure)
  /// A structure's checksum is right, or it has none, and it says what cannot be.
  case corrupted(Structure, String)
  /// The file system cannot be opened, for this reason.
  case refused(String)
  /// What was asked for is refused: the file system is as it should be.
  case errno(Errno)

  /// The sentence.
  public var description: String {
    switch self {
    case .device(let error): "\(error)"
    case .badChecksum(let structure): "\(structure) has a wrong checksum; unmount, and run e2fsck"
    case .corrupted(let structure, let problem): "\(structure) is damaged: \(problem); unmount, and run e2fsck"
    case .refused(let sentence): sentence
    case .errno(let error): "\(error)"
    }
  }

  /// What a program is told that asked through the kernel.
  public var errno: Errno {
    switch self {
    case .device(let error): error.errno
    case .badChecksum: .badMessage
    case .corrupted: .needsCleaning
    case .refused: .invalidArgument
    case .errno(let error): error
    }
  }

  /// Whether it tells of damage: of the media or of what is on it.
  public var isDamage: Bool {
    switch self {
    case .device, .badChecksum, .corrupted: true
    case .refused, .errno: false
    }
  }
}
