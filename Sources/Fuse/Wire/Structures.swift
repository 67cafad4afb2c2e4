import CFuse
import Platform

/// A structure of CFuse, which is copied whole between its bytes and its value.
///
/// Any bytes are a valid value. Each byte belongs to a field (`facts.c` refuses other structures), so a value that is
/// stored leaves nothing of what was in the buffer before.
protocol WireStructure {
  /// All fields are zero.
  init()
}

extension WireStructure {
  /// Bytes of the structure.
  static var byteCount: Int { MemoryLayout<Self>.size }
}

extension RawSpan {
  /// The structure that begins at `offset`, which need not be aligned.
  /// - Throws: EPROTO where there are too few bytes for it.
  func load<Structure: WireStructure & BitwiseCopyable>(
    _ type: Structure.Type = Structure.self, at offset: Int = 0
  ) throws(Errno) -> Structure {
    try require(offset + Structure.byteCount)
    return unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: type)
  }

  /// A structure of which an older protocol has only the first `count` bytes. The rest is zero.
  /// - Throws: EPROTO where there are too few bytes.
  func load<Structure: WireStructure & BitwiseCopyable>(
    _ type: Structure.Type = Structure.self, first count: Int
  ) throws(Errno) -> Structure {
    try require(count)
    var structure = Structure()
    Swift.withUnsafeMutableBytes(of: &structure) { to in
      withUnsafeBytes { from in to.copyMemory(from: UnsafeRawBufferPointer(rebasing: from[..<count])) }
    }
    return structure
  }
}

extension MutableRawSpan {
  /// Writes all bytes of a structure, from `offset` on.
  mutating func store<Structure: WireStructure & BitwiseCopyable>(_ structure: Structure, at offset: Int = 0) {
    storeBytes(of: structure, toByteOffset: offset, as: Structure.self)
  }
}

// Headers and INIT.
extension fuse_in_header: WireStructure {}
extension fuse_out_header: WireStructure {}
extension fuse_init_in: WireStructure {}
extension fuse_init_out: WireStructure {}

// Requests.
extension fuse_access_in: WireStructure {}
extension fuse_batch_forget_in: WireStructure {}
extension fuse_copy_file_range_in: WireStructure {}
extension fuse_create_in: WireStructure {}
extension fuse_fallocate_in: WireStructure {}
extension fuse_flush_in: WireStructure {}
extension fuse_forget_in: WireStructure {}
extension fuse_forget_one: WireStructure {}
extension fuse_fsync_in: WireStructure {}
extension fuse_getattr_in: WireStructure {}
extension fuse_getxattr_in: WireStructure {}
extension fuse_interrupt_in: WireStructure {}
extension fuse_ioctl_in: WireStructure {}
extension fuse_link_in: WireStructure {}
extension fuse_lk_in: WireStructure {}
extension fuse_lseek_in: WireStructure {}
extension fuse_mkdir_in: WireStructure {}
extension fuse_mknod_in: WireStructure {}
extension fuse_open_in: WireStructure {}
extension fuse_poll_in: WireStructure {}
extension fuse_read_in: WireStructure {}
extension fuse_release_in: WireStructure {}
extension fuse_removemapping_in: WireStructure {}
extension fuse_removemapping_one: WireStructure {}
extension fuse_rename2_in: WireStructure {}
extension fuse_rename_in: WireStructure {}
extension fuse_setattr_in: WireStructure {}
extension fuse_setupmapping_in: WireStructure {}
extension fuse_setxattr_in: WireStructure {}
extension fuse_statx_in: WireStructure {}
extension fuse_syncfs_in: WireStructure {}
extension fuse_write_in: WireStructure {}

// Extensions of requests.
extension fuse_ext_header: WireStructure {}
extension fuse_secctx: WireStructure {}
extension weft_fuse_supp_groups: WireStructure {}

// What an ioctl carries.
extension weft_fsxattr: WireStructure {}

// Replies and notifications.
extension fuse_attr_out: WireStructure {}
extension fuse_copy_file_range_out: WireStructure {}
extension fuse_entry_out: WireStructure {}
extension fuse_getxattr_out: WireStructure {}
extension fuse_ioctl_out: WireStructure {}
extension fuse_lk_out: WireStructure {}
extension fuse_lseek_out: WireStructure {}
extension fuse_open_out: WireStructure {}
extension fuse_poll_out: WireStructure {}
extension fuse_statfs_out: WireStructure {}
extension fuse_statx_out: WireStructure {}
extension fuse_write_out: WireStructure {}
extension fuse_notify_inval_entry_out: WireStructure {}
extension fuse_notify_inval_inode_out: WireStructure {}
extension weft_fuse_dirent: WireStructure {}

// Those of famfs kernels.
extension weft_famfs_daxdev_out: WireStructure {}
extension weft_famfs_fmap_header: WireStructure {}
extension weft_famfs_get_daxdev_in: WireStructure {}
extension weft_famfs_iext: WireStructure {}
extension weft_famfs_simple_ext: WireStructure {}
