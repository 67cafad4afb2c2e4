import CLinux
import CYardstick
import Glibc
import Platform

/// Flags of open(2) that the C library shows to GNU sources only.
enum Flag {
  static let path = Int32(YARD_O_PATH)
  static let noAccessTime = Int32(YARD_O_NOATIME)
  static let temporary = Int32(YARD_O_TMPFILE_BIT) | O_DIRECTORY
  static let direct = weft_direct()
}

/// The calls that take names. Each is the system call of its name, relative to the case's directory.
extension Trial {
  func call(
    _ label: StaticString, _ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0,
    _ f: Int = 0, names: [Name] = []
  ) -> Answer {
    let value = withExtendedLifetime(names) { yard_call(Int(number), a, b, c, d, e, f) }
    return Answer(trial: self, call: label, names: names, value: value)
  }

  private var here: Int { Int(AT_FDCWD) }

  func open(_ name: Name, _ flags: Int32, _ mode: Int = 0o644, in directory: File? = nil) -> Answer {
    let flags = Int(flags | O_CLOEXEC)
    return call("open", SYS_openat, directory.number, name.address, flags, mode, names: [name])
  }

  func mkdir(_ name: Name, _ mode: Int = 0o755, in directory: File? = nil) -> Answer {
    call("mkdir", SYS_mkdirat, directory.number, name.address, mode, names: [name])
  }

  func mknod(_ name: Name, _ mode: UInt32, _ device: UInt = 0) -> Answer {
    call("mknod", SYS_mknodat, here, name.address, Int(mode), Int(device), names: [name])
  }

  func unlink(_ name: Name, in directory: File? = nil) -> Answer {
    call("unlink", SYS_unlinkat, directory.number, name.address, 0, names: [name])
  }

  func rmdir(_ name: Name, in directory: File? = nil) -> Answer {
    call("rmdir", SYS_unlinkat, directory.number, name.address, Int(AT_REMOVEDIR), names: [name])
  }

  func link(_ name: Name, _ new: Name, flags: Int32 = 0, from: File? = nil, to: File? = nil) -> Answer {
    call("link", SYS_linkat, from.number, name.address, to.number, new.address, Int(flags), names: [name, new])
  }

  func symlink(_ contents: Name, _ name: Name) -> Answer {
    call("symlink", SYS_symlinkat, contents.address, here, name.address, names: [contents, name])
  }

  func rename(_ name: Name, _ new: Name, flags: Int = 0, from: File? = nil, to: File? = nil) -> Answer {
    call("rename", SYS_renameat2, from.number, name.address, to.number, new.address, flags, names: [name, new])
  }

  func chmod(_ name: Name, _ mode: Int) -> Answer {
    call("chmod", SYS_fchmodat, here, name.address, mode, names: [name])
  }

  /// -1 leaves a user or group as it is.
  func chown(_ name: Name, _ user: Int, _ group: Int, follow: Bool = true) -> Answer {
    let flags = follow ? 0 : Int(AT_SYMLINK_NOFOLLOW)
    return call("chown", SYS_fchownat, here, name.address, user, group, flags, names: [name])
  }

  func truncate(_ name: Name, _ size: Int) -> Answer {
    call("truncate", SYS_truncate, name.address, size, names: [name])
  }

  func access(_ name: Name, _ mode: Int32) -> Answer {
    call("access", SYS_faccessat, here, name.address, Int(mode), names: [name])
  }

  func chdir(_ name: Name) -> Answer { call("chdir", SYS_chdir, name.address, names: [name]) }

  /// The bytes of a link that fit into `size`.
  func readlink(_ name: Name, size: Int = 4096) -> (answer: Answer, bytes: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: max(size, 1))
    let answer = buffer.withUnsafeMutableBytes {
      call("readlink", SYS_readlinkat, here, name.address, $0.address, size, names: [name])
    }
    return (answer, Array(buffer.prefix(max(0, answer.value))))
  }

  /// Whether stat(2) works, without and with following a symbolic link at the end.
  func stating(_ name: Name, follow: Bool = true, in directory: File? = nil) -> Answer {
    var about = yard_stat()
    return stating(name, follow: follow, in: directory, &about)
  }

  private func stating(_ name: Name, follow: Bool, in directory: File?, _ about: inout yard_stat) -> Answer {
    let value = yard_stat(Int32(directory.number), name.pointer, follow ? 0 : AT_SYMLINK_NOFOLLOW, &about)
    return Answer(trial: self, call: follow ? "stat" : "lstat", names: [name], value: value)
  }

  /// What stat(2) says; it must succeed.
  func stat(
    _ name: Name, follow: Bool = true, in directory: File? = nil, file: StaticString = #fileID, line: Int = #line
  ) throws -> Stat {
    var about = yard_stat()
    try stating(name, follow: follow, in: directory, &about).ok(file: file, line: line)
    return Stat(about)
  }

  func lstat(_ name: Name, file: StaticString = #fileID, line: Int = #line) throws -> Stat {
    try stat(name, follow: false, file: file, line: line)
  }

  func exists(_ name: Name) -> Bool { stating(name, follow: false).value == 0 }

  /// The calls with nil for one of the times leave it as it is (UTIME_OMIT).
  func utimens(_ name: Name, access: Time?, modification: Time?, follow: Bool = true) -> Answer {
    let times = [access ?? .omit, modification ?? .omit].map {
      timespec(tv_sec: Int($0.seconds), tv_nsec: $0.nanoseconds)
    }
    return times.withUnsafeBytes { times in
      let flags = follow ? 0 : Int(AT_SYMLINK_NOFOLLOW)
      return call("utimensat", SYS_utimensat, here, name.address, times.address, flags, names: [name])
    }
  }
}

extension Name {
  /// For the arguments of a call; valid as long as the name.
  var address: Int { Int(bitPattern: pointer) }
}

extension UnsafeRawBufferPointer {
  var address: Int { Int(bitPattern: baseAddress) }
}

extension UnsafeMutableRawBufferPointer {
  var address: Int { Int(bitPattern: baseAddress) }
}

extension File? {
  /// The descriptor, or AT_FDCWD.
  var number: Int { Int(self?.number ?? AT_FDCWD) }
}
