/// Where a file's bytes lie on memory devices, for a kernel that goes there by itself.
public struct MemoryMap: Equatable, Sendable {
  /// What the file is to the file system.
  public enum Purpose: UInt8, Sendable {
    /// A file of a user's.
    case regular = 0
    /// The superblock.
    case superblock = 1
    /// The log.
    case log = 2
  }

  /// A run of a device's bytes. Kernels take multiples of 2 MiB only.
  public struct Run: Equatable, Sendable {
    /// Which device, by an index of the file system's choosing.
    public var device: UInt32
    /// Where it begins on the device, in bytes.
    public var offset: UInt64
    /// Its length in bytes.
    public var length: UInt64

    /// A run of these numbers.
    public init(device: UInt32, offset: UInt64, length: UInt64) {
      (self.device, self.offset, self.length) = (device, offset, length)
    }
  }

  /// A part of a file that goes round its strips, one chunk from each.
  public struct Stripe: Equatable, Sendable {
    /// Bytes that are taken from one strip before the next one's turn.
    public var chunkSize: UInt32
    /// The strips, all of one length.
    public var strips: [Run]

    /// A stripe of these strips.
    public init(chunkSize: UInt32, strips: [Run]) { (self.chunkSize, self.strips) = (chunkSize, strips) }
  }

  /// How the runs make the file.
  public enum Layout: Equatable, Sendable {
    /// One after the other.
    case simple([Run])
    /// Stripes, one after the other.
    case interleaved([Stripe])
  }

  /// What the file is.
  public var purpose: Purpose
  /// Bytes of the file; at most what the runs have.
  public var size: UInt64
  /// Where they are.
  public var layout: Layout

  /// A map of a file of this size.
  public init(_ purpose: Purpose = .regular, size: UInt64, _ layout: Layout) {
    (self.purpose, self.size, self.layout) = (purpose, size, layout)
  }
}
