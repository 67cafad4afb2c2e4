import CommandKit
import Famfs
import Platform

/// A log in a file, printed entry by entry.
struct LogListing: ~Copyable {
  private let file: FileDescriptor
  private let size: UInt64
  private let path: String
  private let slot: UnsafeMutableRawBufferPointer

  /// A log of so many bytes.
  init(_ file: consuming FileDescriptor, size: UInt64, _ path: String) {
    self.file = file
    self.size = size
    self.path = path
    slot = .allocate(byteCount: LogEntry.size, alignment: 8)
  }

  deinit { slot.deallocate() }

  /// Prints the header and every entry.
  /// - Returns: whether all of it is good; what is not was told of.
  func print() throws(Errno) -> Bool {
    guard let header = try header() else { return false }
    printOut(
      """
      Log header:
        log length:    \(header.logLength)
        last index:    \(header.lastIndex)
        next sequence: \(header.nextSequence)
        next index:    \(header.nextIndex)

      """)
    let slots = header.lastIndex + 1
    var isGood = header.nextIndex <= slots
    if !isGood {
      printError("\(ChkreadCommand.command): \(path) claims \(header.nextIndex) entries, and has room for \(slots)")
    }
    for index in 0..<min(header.nextIndex, slots) {
      let entry = try entry(index)
      printOut("  \(index): \(oneLine(LogListing.describe(entry)))\n")
      if case .failure(let problem) = entry {
        printError("\(ChkreadCommand.command): \(path): log entry \(index): \(problem)")
        isGood = false
      }
    }
    return isGood
  }

  private func header() throws(Errno) -> LogHeader? {
    let bytes = UnsafeMutableRawBufferPointer(rebasing: slot[..<LogHeader.size])
    let got = try file.read(at: 0, into: bytes)
    do throws(LogHeaderError) {
      guard got == bytes.count else { throw .badMagic }
      return try LogHeader(parsing: UnsafeRawBufferPointer(bytes).bytes, logLength: size)
    } catch {
      printError("\(ChkreadCommand.command): \(path) \(firstPart(of: "\(error)"))")
      return nil
    }
  }

  private func entry(_ index: UInt64) throws(Errno) -> Result<LogEntry, EntryProblem> {
    let got = try file.read(at: UInt64(LogHeader.size) + index * UInt64(LogEntry.size), into: slot)
    guard got == slot.count else { return .failure(.unreadable) }
    do throws(EntryProblem) {
      return .success(try LogEntry(parsing: UnsafeRawBufferPointer(slot).bytes, index: index))
    } catch {
      return .failure(error)
    }
  }

  private static func describe(_ entry: Result<LogEntry, EntryProblem>) -> String {
    switch entry {
    case .failure(let problem): return "bad: \(problem)"
    case .success(let entry):
      switch entry.payload {
      case .file(let record): return describe(record)
      case .directory(let record):
        return
          "directory \(record.path), mode \(octal(record.permissions)), uid \(record.userID), gid \(record.groupID)"
      case .removal(let record): return "removal of \(record.path), which entry \(record.target) made"
      case .attributes(let record): return describe(record)
      case .addDevice(let record): return "device \(record.index), \(record.size) bytes, UUID \(record.uuid)"
      }
    }
  }

  private static func describe(_ record: AttributeRecord) -> String {
    let target = record.path.map { "\($0), which entry \(record.target) made" } ?? "the root"
    let time = "modified \(record.modified.seconds) s \(record.modified.nanoseconds) ns after 1970"
    return
      "attributes of \(target): mode \(octal(record.permissions)), uid \(record.userID), gid \(record.groupID), \(time)"
  }

  private static func describe(_ record: FileRecord) -> String {
    let (layout, list) = (record.layout, record.layout.extents.array)
    let places = list.map { "\($0.device):0x\(hexadecimal($0.offset))+0x\(hexadecimal($0.length))" }
    let kind = layout.chunkSize == 0 ? "extents" : "chunks of \(layout.chunkSize) in strips"
    return "file \(record.path), \(record.size) bytes, mode \(octal(record.permissions)), uid \(record.userID), "
      + "gid \(record.groupID), \(kind) \(places.joined(separator: " "))"
  }
}
