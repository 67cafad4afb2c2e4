import Platform

/// A heartbeat that a mount leaves in the superblock's area, behind what the public tools look at (SPEC-famfs,
/// "Heartbeats").
public struct Heartbeat: Equatable, Sendable {
  /// Bytes on media: four cache lines.
  static let size = 256
  /// Where the first one stands on the device, and how many there can be.
  public static let areaOffset: UInt64 = 4096
  static let slots = 1024
  static let magic: UInt64 = 0x7461_6562_7466_6577  // "weftbeat"
  private static let checkedSize = 248

  /// The host's system UUID.
  public var host: UUID
  /// Tells the mounts of a host apart: random.
  public var mount: UInt64
  /// Whether this mount may append to the log.
  public var isMaster: Bool
  /// When it was mounted: nanoseconds since 1970, by the host's clock.
  public var since: UInt64
  /// When this heartbeat was left, by the host's clock.
  public var time: UInt64 = 0
  /// One more with each heartbeat. Whether it still changes tells whether the mount lives; clocks may differ.
  public var count: UInt64 = 0
  /// Log entries that the mount has taken in.
  public var entries: UInt64 = 0
  /// Log entries whose removals this mount has let go of: it reads nothing any more that one of them removed.
  public var released: UInt64 = 0
  /// The host's name, at most 63 bytes of it.
  public var hostName: String

  /// Where the marks of mounts that were given up begin, one cache line for each slot: a master stores the mount's
  /// number there before it gives away space that the mount may still read. Only masters write them.
  static let revocationsOffset = areaOffset + UInt64(slots * size)
  static let revocationSize: UInt64 = 64
  /// The mount's number in a slot.
  static let mountOffset: UInt64 = 24

  /// Where a slot's heartbeat stands.
  static func offset(of slot: Int) -> UInt64 { areaOffset + UInt64(slot * size) }

  /// Where a slot's mark stands.
  static func revocation(of slot: Int) -> UInt64 { revocationsOffset + UInt64(slot) * revocationSize }

  /// A mount's first heartbeat.
  public init(host: UUID, mount: UInt64, isMaster: Bool, since: UInt64, hostName: String) {
    self.host = host
    self.mount = mount
    self.isMaster = isMaster
    self.since = since
    self.hostName = hostName
  }

  /// Reads and checks a slot of `size` bytes; nil when it holds no heartbeat.
  init?(parsing bytes: RawSpan) {
    guard bytes.u64(0) == Heartbeat.magic,
      bytes.u64(Heartbeat.checkedSize) == checksum(bytes.extracting(0..<Heartbeat.checkedSize))
    else { return nil }
    host = UUID(bytes, at: 8)
    mount = bytes.u64(Int(Heartbeat.mountOffset))
    isMaster = bytes.u64(32) & 1 != 0
    since = bytes.u64(40)
    time = bytes.u64(48)
    count = bytes.u64(56)
    entries = bytes.u64(64)
    released = bytes.u64(136)
    hostName = bytes.extracting(72..<136).withUnsafeBytes { name in
      String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// Writes the `size` bytes, checksum included, over `bytes`, which are zeros.
  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(0, Heartbeat.magic)
    host.store(into: &bytes, at: 8)
    bytes.set(Int(Heartbeat.mountOffset), mount)
    bytes.set(32, UInt64(isMaster ? 1 : 0))
    bytes.set(40, since)
    bytes.set(48, time)
    bytes.set(56, count)
    bytes.set(64, entries)
    bytes.set(136, released)
    for (place, byte) in hostName.utf8.prefix(63).enumerated() { bytes.set(72 + place, byte) }
    bytes.set(Heartbeat.checkedSize, checksum(bytes.bytes.extracting(0..<Heartbeat.checkedSize)))
  }
}
