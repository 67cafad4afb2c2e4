import CLinux
import CommandKit
import Famfs
import Glibc
import Platform

/// famfs chkread
enum ChkreadCommand: Command {
  static let name = "chkread"
  static let synopsis = "[-s|-l] FILE"
  static let about = """
    Compare what read(2) and mmap(2) give of a file, which may be on any file system.

    Exit status 0 when they give the same, 1 when they do not, or when FILE is not the superblock or log that it should
    be.
    """
  static let options = [
    Option("s", "superblock", nil, "FILE is a superblock, such as .meta/.superblock: check and print it"),
    Option("l", "log", nil, "FILE is a log, such as .meta/.log: check and print its header and every entry"),
    Option("v", "verbose", nil, nil),
  ]
  static let examples = ["famfs chkread /mnt/fam/queue", "famfs chkread -l /mnt/fam/.meta/.log"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one file") }
    if arguments.has("superblock") && arguments.has("log") {
      throw UsageError("--superblock and --log exclude each other")
    }
    let path = arguments.operands[0]
    do {
      let file = try FileDescriptor(opening: path, [.readOnly, .nonBlocking])
      let status = try file.status()
      guard status.kind == .regular else { throw FamfsError.other("\(path) is no regular file") }
      // Behind a superblock's first 4 KiB are heartbeats, which always change.
      try compare(file, size: isSuperblock(file) ? min(status.size, Heartbeat.areaOffset) : status.size, path)
      if arguments.has("superblock"), !printSuperblock(file, path) { return 1 }
      if arguments.has("log") {
        let again = try FileDescriptor(opening: path, [.readOnly, .nonBlocking])
        if !(try LogListing(again, size: status.size, path).print()) { return 1 }
      }
      printLine("\(path): read and mmap give the same \(status.size) bytes")
      return 0
    } catch let error as Errno {
      throw FamfsError.other("\(path) cannot be read: \(error)")
    }
  }

  private static func isSuperblock(_ file: borrowing FileDescriptor) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: Superblock.size, alignment: 8) { bytes in
      (try? file.read(at: 0, into: bytes)) == bytes.count
        && (try? Superblock(parsing: UnsafeRawBufferPointer(bytes).bytes, allowsSecondary: true)) != nil
    }
  }

  /// Compares a piece at a time. What somebody else changes meanwhile is looked at again.
  private static func compare(_ file: borrowing FileDescriptor, size: UInt64, _ path: String) throws {
    guard size > 0 else { return }
    let mapping = try WholeView(of: file, count: size)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4096)
    defer { room.deallocate() }
    let (read, mapped) = (
      UnsafeMutableRawBufferPointer(rebasing: room[..<(1 << 20)]),
      UnsafeMutableRawBufferPointer(rebasing: room[(1 << 20)...])
    )
    var offset: UInt64 = 0
    while offset < size {
      let count = Int(min(UInt64(read.count), size - offset))
      var difference: Int?
      for _ in 0..<3 {
        let got = try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: read[..<count]))
        guard got == count else {
          throw FamfsError.other("\(path): read(2) gives \(got) of \(count) bytes at offset \(offset)")
        }
        guard weft_guarded_copy(mapped.baseAddress, mapping.start + Int(offset), count) else {
          throw FamfsError.other("\(path): the mapping cannot be read somewhere behind offset \(offset)")
        }
        difference = (0..<count).first { read[$0] != mapped[$0] }
        if difference == nil { break }
      }
      if let difference {
        throw FamfsError.other("\(path): read(2) and mmap(2) differ at offset \(offset + UInt64(difference))")
      }
      offset += UInt64(count)
    }
  }

  private static func printSuperblock(_ file: borrowing FileDescriptor, _ path: String) -> Bool {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Superblock.size, alignment: 8)
    defer { bytes.deallocate() }
    do throws(SuperblockError) {
      guard (try? file.read(at: 0, into: bytes)) == bytes.count else { throw .notFamfs }
      let superblock = try Superblock(parsing: UnsafeRawBufferPointer(bytes).bytes)
      let host = try? HostIdentity.systemUUID()
      printOut(
        Summary.superblock(superblock, role: host == superblock.systemUUID ? .master : .client, isVerbose: true))
      return true
    } catch {
      printError("\(command): \(path) \(firstPart(of: "\(error)"))")
      return false
    }
  }
}

/// A whole file, mapped to be looked at. Shared, as programs map; where the kernel cannot (files opened past the page
/// cache, before Linux 6.6), private.
private struct WholeView: ~Copyable {
  let start: UnsafeMutableRawPointer
  private let count: Int

  init(of file: borrowing FileDescriptor, count: UInt64) throws(Errno) {
    guard let count = Int(exactly: count) else { throw .fileTooLarge }
    for kind in [MAP_SHARED, MAP_PRIVATE] {
      if let start = mmap(nil, count, PROT_READ, kind, file.rawValue, 0), start != MAP_FAILED {
        self.start = start
        self.count = count
        return
      }
      if errno != ENODEV { break }
    }
    throw .current
  }

  deinit { munmap(start, count) }
}

/// A sentence without what follows its first semicolon: a remedy for a device, where a file is meant.
func firstPart(of sentence: String) -> Substring { sentence.prefix { $0 != ";" } }
