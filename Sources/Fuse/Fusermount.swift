import CLinux
import Glibc
import Platform

/// The set-uid helper that mounts for users other than root: fusermount3(1).
enum Fusermount {
  private static let program = "fusermount3"

  /// Mounts, and takes the descriptor of /dev/fuse that the helper sends back over a socket.
  static func mount(_ path: String, _ options: MountOptions) throws(MountError) -> FileDescriptor {
    let channel = try SocketPair()
    // It sends before it ends, so that the message waits for us by then.
    try run(["-o", mountOptions(options), "--", path], socket: channel.theirs.rawValue)
    let ours = channel.closeTheirs()
    do throws(Errno) {
      var descriptor: Int32 = -1
      try retrying { weft_receive_descriptor(ours.rawValue, &descriptor) }
      return FileDescriptor(owning: descriptor)
    } catch {
      throw .helper(error)
    }
  }

  static func unmount(_ path: String, lazily: Bool) throws(MountError) {
    try run(["-u"] + (lazily ? ["-z"] : []) + ["--", path], socket: nil)
  }

  static func mountOptions(_ options: MountOptions) -> String {
    var list = ["fsname=" + escape(options.source), "subtype=" + escape(options.subtype)]
    if options.isReadOnly { list.append("ro") }
    if !options.allowsPrograms { list.append("noexec") }
    if options.defaultPermissions { list.append("default_permissions") }
    if options.allowOther { list.append("allow_other") }
    return list.joined(separator: ",")
  }

  /// Commas separate options, backslashes escape.
  private static func escape(_ text: String) -> String {
    var escaped = ""
    for character in text.unicodeScalars {
      if character == "," || character == "\\" { escaped.append("\\") }
      escaped.unicodeScalars.append(character)
    }
    return escaped
  }

  /// Runs the helper to its end.
  /// - Throws: what it wrote to standard error, when it fails.
  private static func run(_ arguments: [String], socket: Int32?) throws(MountError) {
    let complaints = try SocketPair()
    let child = try start([program] + arguments, socket: socket, standardError: complaints.theirs.rawValue)
    let words = readAll(complaints.closeTheirs())
    let status: Int32
    do throws(Errno) { status = try Spawn.wait(for: child) } catch { throw .helper(error) }
    if status != 0 { throw .helperRefused(words.trimmingBlanks()) }
  }

  private static func start(
    _ arguments: [String], socket: Int32?, standardError: Int32
  ) throws(MountError) -> pid_t {
    var options = Spawn.Options()
    options.standardError = standardError
    options.extraDescriptor = socket
    options.variables = ["_FUSE_COMMFD=3"]  // the number that a child has its extra descriptor by
    do throws(Errno) { return try Spawn.start(program, arguments, options) } catch .noEntry {
      throw .helperMissing
    } catch {
      throw .helper(error)
    }
  }

  /// Everything until the other end is closed, of which the first 4 KiB are kept.
  private static func readAll(_ file: consuming FileDescriptor) -> String {
    var words: [UInt8] = []
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { piece in
      while let count = try? file.read(into: piece), count > 0 {
        words.append(contentsOf: piece[..<min(count, max(0, 4096 - words.count))])
      }
    }
    return String(decoding: words, as: UTF8.self)
  }
}

/// Two connected sockets, one of them for a child.
private struct SocketPair: ~Copyable {
  let ours: FileDescriptor
  let theirs: FileDescriptor

  init() throws(MountError) {
    var ends: (Int32, Int32) = (-1, -1)
    do throws(Errno) {
      try retrying {
        withUnsafeMutableBytes(of: &ends) { bytes in
          let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
          return socketpair(AF_UNIX, kind, 0, bytes.assumingMemoryBound(to: Int32.self).baseAddress)
        }
      }
    } catch {
      throw .helper(error)
    }
    ours = FileDescriptor(owning: ends.0)
    theirs = FileDescriptor(owning: ends.1)
  }

  /// Leaves the child the only one to hold its end.
  consuming func closeTheirs() -> FileDescriptor { ours }
}
