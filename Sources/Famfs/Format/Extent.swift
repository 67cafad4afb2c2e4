import Platform

/// A run of a device's bytes.
public struct Extent: Equatable, Sendable {
  /// Which device: 0 is the one with the superblock.
  public var device: UInt64
  /// Where it begins on the device, in bytes.
  public var offset: UInt64
  /// Its length in bytes.
  public var length: UInt64

  static let encodedSize = 24

  /// Whether they have a byte in common. Both lie inside a device.
  func overlaps(_ other: Extent) -> Bool {
    device == other.device && offset < other.offset + other.length && other.offset < offset + length
  }

  /// A run of bytes.
  public init(device: UInt64 = 0, offset: UInt64, length: UInt64) {
    self.device = device
    self.offset = offset
    self.length = length
  }

  init(_ bytes: RawSpan, at place: Int) {
    self.init(device: bytes.u64(place), offset: bytes.u64(place + 8), length: bytes.u64(place + 16))
  }

  func encode(into bytes: inout MutableRawSpan, at place: Int) {
    bytes.set(place, device)
    bytes.set(place + 8, offset)
    bytes.set(place + 16, length)
  }
}

/// Up to 16 extents, in place.
public struct ExtentList: Equatable, Sendable {
  /// The most extents, or strips, that a file can have.
  public static let capacity = 16

  private var storage = InlineArray<16, Extent>(repeating: Extent(offset: 0, length: 0))
  /// How many there are.
  public private(set) var count = 0

  /// No extents.
  public init() {}

  /// The extents of an array of at most 16.
  public init(_ extents: [Extent]) {
    for extent in extents { append(extent) }
  }

  /// One of them; `place` is below `count`.
  public subscript(place: Int) -> Extent {
    precondition(place < count)
    return storage[place]
  }

  /// Adds one; there must be room.
  public mutating func append(_ extent: Extent) {
    storage[count] = extent
    count += 1
  }

  /// Whether they are the same extents in the same order.
  public static func == (a: ExtentList, b: ExtentList) -> Bool { a.array == b.array }

  /// As an array.
  public var array: [Extent] { (0..<count).map { storage[$0] } }
}

/// Where a file's bytes lie.
public struct FileLayout: Equatable, Sendable {
  /// One after the other, or the strips of an interleaved file.
  public var extents: ExtentList
  /// 0 when the extents follow each other; else the file is interleaved, and this is how many bytes it takes from one
  /// strip before it goes on with the next: a power of two.
  public var chunkSize: UInt64

  /// A layout.
  public init(_ extents: ExtentList, chunkSize: UInt64 = 0) {
    self.extents = extents
    self.chunkSize = chunkSize
  }
}
