import Platform

/// The first 200 bytes of each of a volume's devices (SPEC-famfs, "Superblock").
public struct Superblock: Equatable, Sendable {
  /// Bytes on media.
  public static let size = 200
  /// Bytes at the device's start that belong to the superblock.
  public static let area: UInt64 = 2 << 20
  static let magic: UInt64 = 0x87b2_82ff
  /// The only version there is.
  public static let version: UInt64 = 48
  static let checkedSize = 96

  /// Format 2.2.
  public var major: UInt32 = 2
  /// Behind the point.
  public var minor: UInt32 = 2
  /// Where the log begins, in bytes.
  public var logOffset: UInt64 = area
  /// Bytes of the log: a power of two, at least 8 MiB.
  public var logLength: UInt64
  /// Bytes: 2 MiB or 4096. Every extent is a multiple of it.
  public var allocationUnit: UInt64
  /// The file system's own identifier.
  public var uuid: UUID
  /// This device's identifier.
  public var deviceUUID: UUID
  /// The master: the one host that may append to the log.
  public var systemUUID: UUID
  /// Bit 0 primary, bit 1 secondary device. Not covered by the checksum.
  public var flags: UInt32 = 0
  /// Bytes of the device when the volume was made. Not covered by the checksum.
  public var deviceSize: UInt64
  /// The device's path on the host that made the volume. Not covered by the checksum.
  public var devicePath: String

  /// A superblock for a new volume.
  public init(
    logLength: UInt64, allocationUnit: UInt64, uuid: UUID, deviceUUID: UUID, systemUUID: UUID, deviceSize: UInt64,
    devicePath: String
  ) {
    self.logLength = logLength
    self.allocationUnit = allocationUnit
    self.uuid = uuid
    self.deviceUUID = deviceUUID
    self.systemUUID = systemUUID
    self.deviceSize = deviceSize
    self.devicePath = devicePath
  }

  /// The superblock of a device that is added to this one's volume.
  func forSecondary(uuid: UUID, size: UInt64, path: String) -> Superblock {
    var superblock = self
    superblock.deviceUUID = uuid
    superblock.flags = Superblock.secondaryFlag
    superblock.deviceSize = size
    superblock.devicePath = path
    return superblock
  }

  /// Whether this is the superblock of one of a volume's further devices.
  public var isSecondary: Bool { flags & Superblock.secondaryFlag != 0 }
  private static let secondaryFlag: UInt32 = 2

  /// Reads and checks a superblock; `bytes` holds at least `size` bytes.
  /// - Parameter allowsSecondary: whether one of a device without a log will do.
  public init(parsing bytes: RawSpan, allowsSecondary: Bool = false) throws(SuperblockError) {
    guard bytes.u64(0) == Superblock.magic else { throw .notFamfs }
    guard bytes.u64(8) == Superblock.version else { throw .wrongVersion(bytes.u64(8)) }
    guard bytes.u64(96) == checksum(bytes.extracting(0..<Superblock.checkedSize)) else { throw .badChecksum }
    logOffset = bytes.u64(16)
    logLength = bytes.u64(24)
    allocationUnit = bytes.u64(32)
    major = bytes.u32(40)
    minor = bytes.u32(44)
    uuid = UUID(bytes, at: 48)
    deviceUUID = UUID(bytes, at: 64)
    systemUUID = UUID(bytes, at: 80)
    flags = bytes.u32(104)
    deviceSize = bytes.u64(112)
    devicePath = bytes.extracting(136..<200).withUnsafeBytes { path in
      String(fileName: path.prefix { $0 != 0 })
    }
    guard major == 2 else { throw .wrongFormat(major, minor) }
    guard logOffset == Superblock.area, Superblock.isLogLength(logLength) else { throw .badLog(logOffset, logLength) }
    guard Superblock.isAllocationUnit(allocationUnit) else { throw .badAllocationUnit(allocationUnit) }
    guard allowsSecondary || !isSecondary else { throw .secondary(uuid) }
  }

  /// Whether a log may have this many bytes: a power of two from 8 MiB on. The upper bound is this program's, 31
  /// million entries: it keeps node numbers and name offsets within 32 bits.
  public static func isLogLength(_ length: UInt64) -> Bool {
    length >= 8 << 20 && length & (length - 1) == 0 && length <= 16 << 30
  }

  /// Whether the format knows this allocation unit, in bytes.
  public static func isAllocationUnit(_ unit: UInt64) -> Bool { unit == 2 << 20 || unit == 4096 }

  /// Writes the `size` bytes, checksum included, over `bytes`.
  public func encode(into bytes: inout MutableRawSpan) {
    for offset in 0..<Superblock.size { bytes.set(offset, UInt8(0)) }
    bytes.set(0, Superblock.magic)
    bytes.set(8, Superblock.version)
    bytes.set(16, logOffset)
    bytes.set(24, logLength)
    bytes.set(32, allocationUnit)
    bytes.set(40, major)
    bytes.set(44, minor)
    uuid.store(into: &bytes, at: 48)
    deviceUUID.store(into: &bytes, at: 64)
    systemUUID.store(into: &bytes, at: 80)
    bytes.set(96, checksum(bytes.bytes.extracting(0..<Superblock.checkedSize)))
    bytes.set(104, flags)
    bytes.set(112, deviceSize)
    deviceUUID.store(into: &bytes, at: 120)
    for (place, byte) in devicePath.fileNameBytes.prefix(63).enumerated() { bytes.set(136 + place, byte) }
  }

  /// Where data begins, in bytes.
  public var dataOffset: UInt64 { logOffset + logLength }
}

/// Why bytes are no superblock that this program can use.
public enum SuperblockError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What there is no number to say of.
  case notFamfs, badChecksum
  /// A further device of the file system of this UUID.
  case secondary(UUID)
  /// A number that is none of those that can be; with it.
  case wrongVersion(UInt64), wrongFormat(UInt32, UInt32), badLog(UInt64, UInt64), badAllocationUnit(UInt64)

  /// What is wrong, to follow a device's name.
  public var description: String {
    switch self {
    case .notFamfs: "holds no famfs file system; make one with mkfs.famfs"
    case .badChecksum:
      "has a famfs superblock with a wrong checksum; its files cannot be reached, mkfs.famfs --force makes a new, "
        + "empty file system there"
    case .secondary(let uuid): "is a secondary device of the famfs file system \(uuid); name its primary device"
    case .wrongVersion(let found):
      "has a famfs superblock of version \(found), and this program knows version \(Superblock.version) only; use the "
        + "famfs that made it"
    case .wrongFormat(let major, let minor):
      "has famfs format \(major).\(minor), and this program knows format 2.2 only; use the famfs that made it"
    case .badLog(let offset, let length):
      "has a superblock that puts the log at byte \(offset) with \(length) bytes, which no famfs does; "
        + "mkfs.famfs --force makes a new, empty file system there"
    case .badAllocationUnit(let unit):
      "has a superblock with an allocation unit of \(unit) bytes, which is neither 4096 nor 2097152; use the famfs that "
        + "made it"
    }
  }
}
