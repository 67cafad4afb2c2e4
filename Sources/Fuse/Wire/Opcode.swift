/// What a request asks for; the numbers of `enum fuse_opcode` in linux/fuse.h. Swift wants literals here, so a test
/// compares them with the header.
public enum Opcode: UInt32, Sendable, CaseIterable {
  /// FUSE_LOOKUP: a name becomes a node.
  case lookup = 1
  /// FUSE_FORGET: the kernel drops lookups of a node; never answered.
  case forget = 2
  /// FUSE_GETATTR: stat(2).
  case getattr = 3
  /// FUSE_SETATTR: chmod(2), chown(2), truncate(2), utimensat(2).
  case setattr = 4
  /// FUSE_READLINK: readlink(2).
  case readlink = 5
  /// FUSE_SYMLINK: symlink(2).
  case symlink = 6
  /// FUSE_MKNOD: mknod(2), and open(2) with O_CREAT where FUSE_CREATE is not implemented.
  case mknod = 8
  /// FUSE_MKDIR: mkdir(2).
  case mkdir = 9
  /// FUSE_UNLINK: unlink(2).
  case unlink = 10
  /// FUSE_RMDIR: rmdir(2).
  case rmdir = 11
  /// FUSE_RENAME: rename(2).
  case rename = 12
  /// FUSE_LINK: link(2).
  case link = 13
  /// FUSE_OPEN: open(2) of a file that exists.
  case open = 14
  /// FUSE_READ: read(2) and page-cache fills.
  case read = 15
  /// FUSE_WRITE: write(2) and write-back of pages mapped writable.
  case write = 16
  /// FUSE_STATFS: statfs(2).
  case statfs = 17
  /// FUSE_RELEASE: the last descriptor of an open file is closed.
  case release = 18
  /// FUSE_FSYNC: fsync(2) and fdatasync(2).
  case fsync = 20
  /// FUSE_SETXATTR: setxattr(2).
  case setxattr = 21
  /// FUSE_GETXATTR: getxattr(2).
  case getxattr = 22
  /// FUSE_LISTXATTR: listxattr(2).
  case listxattr = 23
  /// FUSE_REMOVEXATTR: removexattr(2).
  case removexattr = 24
  /// FUSE_FLUSH: each close(2).
  case flush = 25
  /// FUSE_INIT: the first request, which agrees on the protocol.
  case initialize = 26
  /// FUSE_OPENDIR: opendir(3).
  case opendir = 27
  /// FUSE_READDIR: getdents(2).
  case readdir = 28
  /// FUSE_RELEASEDIR: the last descriptor of an open directory is closed.
  case releasedir = 29
  /// FUSE_FSYNCDIR: fsync(2) of a directory.
  case fsyncdir = 30
  /// FUSE_GETLK: asks for a POSIX lock.
  case getlk = 31
  /// FUSE_SETLK: sets a lock without waiting.
  case setlk = 32
  /// FUSE_SETLKW: sets a lock and waits for it.
  case setlkw = 33
  /// FUSE_ACCESS: access(2), where the kernel does not check permissions itself.
  case access = 34
  /// FUSE_CREATE: open(2) that makes the file.
  case create = 35
  /// FUSE_INTERRUPT: a signal came for the process that waits for a request.
  case interrupt = 36
  /// FUSE_BMAP: FIBMAP, on block devices only.
  case bmap = 37
  /// FUSE_DESTROY: the file system is unmounted.
  case destroy = 38
  /// FUSE_IOCTL: ioctl(2).
  case ioctl = 39
  /// FUSE_POLL: poll(2).
  case poll = 40
  /// FUSE_NOTIFY_REPLY: cached data that a notification asked for.
  case notifyReply = 41
  /// FUSE_BATCH_FORGET: many forgets in one; never answered.
  case batchForget = 42
  /// FUSE_FALLOCATE: fallocate(2).
  case fallocate = 43
  /// FUSE_READDIRPLUS: getdents(2) that looks the entries up as well.
  case readdirplus = 44
  /// FUSE_RENAME2: renameat2(2) with flags.
  case rename2 = 45
  /// FUSE_LSEEK: lseek(2) with SEEK_DATA or SEEK_HOLE.
  case lseek = 46
  /// FUSE_COPY_FILE_RANGE: copy_file_range(2).
  case copyFileRange = 47
  /// FUSE_SETUPMAPPING: virtio-fs maps a range into its DAX window.
  case setupMapping = 48
  /// FUSE_REMOVEMAPPING: virtio-fs unmaps ranges of its DAX window.
  case removeMapping = 49
  /// FUSE_SYNCFS: syncfs(2).
  case syncfs = 50
  /// FUSE_TMPFILE: open(2) with O_TMPFILE.
  case tmpfile = 51
  /// FUSE_STATX: statx(2) that asks for more than stat(2) has.
  case statx = 52
  /// FUSE_COPY_FILE_RANGE_64: copy_file_range(2) of more than 4 GiB at once.
  case copyFileRange64 = 53
  /// GET_FMAP: a famfs kernel asks where a file's memory is.
  case getFmap = 54
  /// GET_DAXDEV: a famfs kernel asks for the name of a memory device.
  case getDaxdev = 55

  /// Whether the operation adds, removes or changes names, so that a file system with fixed names refuses it with
  /// EROFS or EPERM rather than ENOSYS.
  public var changesNames: Bool {
    switch self {
    case .symlink, .mknod, .mkdir, .unlink, .rmdir, .rename, .rename2, .link, .create, .tmpfile: true
    default: false
    }
  }

  /// As linux/fuse.h names it, in small letters and without FUSE_: `lookup`, `copy_file_range`.
  public var name: String {
    if self == .initialize { return "init" }
    return "\(self)".reduce(into: "") { text, letter in
      text += letter.isUppercase ? "_\(letter.lowercased())" : letter == "6" ? "_6" : "\(letter)"
    }
  }

  /// Whether the kernel waits for an answer. To answer one of the others would hit a request that may carry the same
  /// number by then.
  ///
  /// INTERRUPT is among the others on purpose: our requests never wait for anything that a signal could end, so the
  /// request it names is about to be answered anyway.
  var isAnswered: Bool { Opcode.isAnswered(rawValue) }

  /// The same of a number that may be none that `Opcode` knows.
  static func isAnswered(_ number: UInt32) -> Bool {
    number != Opcode.forget.rawValue && number != Opcode.batchForget.rawValue
      && number != Opcode.interrupt.rawValue && number != Opcode.notifyReply.rawValue
  }
}
