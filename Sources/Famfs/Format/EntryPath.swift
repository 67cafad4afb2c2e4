import Platform

/// A file's or directory's path as a log entry holds it: relative to the root, at most 79 bytes, components between
/// single slashes, none of them `.` or `..`.
public struct EntryPath: Hashable, Sendable, CustomStringConvertible {
  /// Bytes on media, the terminating NUL among them.
  public static let fieldSize = 80
  /// The longest path, in bytes.
  public static let maximum = fieldSize - 1

  private let storage: InlineArray<80, UInt8>
  /// The number of bytes.
  public let count: Int
  /// Where the last component begins: 0, or one past the last slash.
  public let nameStart: Int

  /// Whether it lies in a directory, at whatever depth.
  func isInside(_ directory: EntryPath) -> Bool {
    guard count > directory.count, storage[directory.count] == UInt8(ascii: "/") else { return false }
    return (0..<directory.count).allSatisfy { storage[$0] == directory.storage[$0] }
  }

  /// Reads the field at `offset` and checks it.
  init(_ bytes: RawSpan, at offset: Int) throws(EntryPathError) {
    var length = 0
    while length < EntryPath.fieldSize && bytes.u8(offset + length) != 0 { length += 1 }
    guard length < EntryPath.fieldSize else { throw .tooLong }
    try self.init(length: length) { bytes.u8(offset + $0) }
  }

  /// Checks a path given by a person. Surplus slashes and `.` components are the caller's to remove.
  public init(_ text: String) throws(EntryPathError) {
    try self.init(bytes: text.fileNameBytes)
  }

  /// Checks a path of any bytes.
  public init(bytes: [UInt8]) throws(EntryPathError) {
    guard bytes.count <= EntryPath.maximum else { throw .tooLong }
    guard !bytes.contains(0) else { throw .nul }
    try self.init(length: bytes.count) { bytes[$0] }
  }

  private init(length: Int, _ byte: (Int) -> UInt8) throws(EntryPathError) {
    guard length > 0 else { throw .empty }
    var storage = InlineArray<80, UInt8>(repeating: 0)
    let slash = UInt8(ascii: "/")
    let dot = UInt8(ascii: ".")
    var start = 0
    for place in 0..<length {
      let value = byte(place)
      storage[place] = value
      let atEnd = place == length - 1
      guard value == slash || atEnd else { continue }
      let end = value == slash ? place : place + 1
      switch end - start {
      case 0: throw place == 0 ? .absolute : .emptyComponent
      case 1 where storage[start] == dot: throw .dots
      case 2 where storage[start] == dot && storage[start + 1] == dot: throw .dots
      default: break
      }
      if value == slash {
        if atEnd { throw .emptyComponent }
        start = place + 1
      }
    }
    self.storage = storage
    count = length
    nameStart = start
  }

  /// Lends the bytes, without the NUL.
  @inline(__always)
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    storage.span.bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }

  /// Lends the bytes of the last component.
  @inline(__always)
  func withName<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withBytes { body(UnsafeRawBufferPointer(rebasing: $0[nameStart...])) }
  }

  /// Whether they have the same bytes.
  public static func == (a: EntryPath, b: EntryPath) -> Bool {
    a.withBytes { x in b.withBytes { y in x.elementsEqual(y) } }
  }

  /// The bytes and nothing else.
  public func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }

  func encode(into bytes: inout MutableRawSpan, at offset: Int) {
    for place in 0..<EntryPath.fieldSize { bytes.set(offset + place, storage[place]) }
  }

  /// The text, from which the same path can be made again.
  public var description: String { withBytes { String(fileName: $0) } }
}

/// Why a path cannot be in a log entry.
public enum EntryPathError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Each says it by its name; `tooLong` includes a field without NUL.
  case empty, tooLong, absolute, emptyComponent, dots, nul

  /// The sentence.
  public var description: String {
    switch self {
    case .empty: "the path is empty"
    case .tooLong: "the path is longer than \(EntryPath.maximum) bytes, the most that the format holds"
    case .absolute: "the path begins with a slash"
    case .emptyComponent: "the path has an empty component"
    case .dots: "the path has a '.' or '..' component"
    case .nul: "the path holds a NUL byte"
    }
  }
}
