import Memory
import Platform

extension RepairPlan {
  /// Mends a damaged superblock where its own checksum proves the result; or where all but the checksum is right.
  /// - Returns: the superblock, mended or as it was.
  /// - Throws: what is wrong with it, when that cannot be mended.
  mutating func mendSuperblock(of device: PatchedDevice, host: UUID?) throws(FamfsError) -> Superblock {
    do { return try Volume.readSuperblock(of: device) } catch {
      guard case .superblock = error, device.size >= Superblock.area else { throw error }
      let bytes = try device.freshBytes(at: 0, count: Superblock.size)
      // A checksum that is right says that nothing is damaged: this is something else.
      if hasGoodChecksum(bytes) { throw error }
      guard let found = provenSuperblock(bytes, host) ?? unprovenSuperblock(bytes, device, host) else {
        throw error
      }
      let names = changedFields(from: bytes, to: found)
      add(
        "the superblock: \(names.joined(separator: ", ")) put right",
        bytes.stores(to: found, at: 0), to: device)
      return try Volume.readSuperblock(of: device)
    }
  }

  private func hasGoodChecksum(_ bytes: [UInt8]) -> Bool {
    bytes.span.bytes.u64(96) == checksum(bytes.span.bytes.extracting(0..<Superblock.checkedSize))
  }

  private func isGood(_ bytes: [UInt8]) -> Bool { (try? Superblock(parsing: bytes.span.bytes)) != nil }

  /// The superblock that the stored checksum is of: with one bit turned, or with what is known put in its place.
  private func provenSuperblock(_ bytes: [UInt8], _ host: UUID?) -> [UInt8]? {
    if let mended = bytes.withOneBitMended(checked: Superblock.checkedSize), isGood(mended) { return mended }
    let lengths = [bytes.span.bytes.u64(24)] + (23...34).map { 1 << $0 }
    let devices = [UUID(bytes.span.bytes, at: 64), UUID(bytes.span.bytes, at: 120)]
    let hosts = [UUID(bytes.span.bytes, at: 80)] + (host.map { [$0] } ?? [])
    for length in lengths where Superblock.isLogLength(length) {
      for unit in [UInt64(2 << 20), 4096] {
        for device in devices {
          for host in hosts {
            let candidate = self.candidate(bytes, length: length, unit: unit, device: device, host: host)
            if hasGoodChecksum(candidate), isGood(candidate) { return candidate }
          }
        }
      }
    }
    return nil
  }

  private func candidate(_ bytes: [UInt8], length: UInt64, unit: UInt64, device: UUID, host: UUID) -> [UInt8] {
    var candidate = bytes
    var span = candidate.mutableSpan
    var raw = span.mutableBytes
    raw.set(0, Superblock.magic)
    raw.set(8, Superblock.version)
    raw.set(16, Superblock.area)
    raw.set(24, length)
    raw.set(32, unit)
    raw.set(40, UInt32(2))
    raw.set(44, UInt32(2))
    device.store(into: &raw, at: 64)
    host.store(into: &raw, at: 80)
    return candidate
  }

  /// The superblock with a new checksum, where everything that can be checked otherwise is right: the fields, against
  /// the log's header; both copies of the device's UUID; this host as the master; and every entry of the log.
  private func unprovenSuperblock(
    _ bytes: [UInt8], _ device: PatchedDevice, _ host: UUID?
  ) -> [UInt8]? {
    var sealed = bytes
    var span = sealed.mutableSpan
    var raw = span.mutableBytes
    raw.set(96, checksum(bytes.span.bytes.extracting(0..<Superblock.checkedSize)))
    guard let superblock = try? Superblock(parsing: sealed.span.bytes), superblock.systemUUID == host,
      superblock.minor == 2, superblock.deviceUUID == UUID(bytes.span.bytes, at: 120)
    else { return nil }
    let mended = device.copy()
    mended.patch(bytes.stores(to: sealed, at: 0))
    guard let volume = try? Volume(on: mended, host: host), volume.report().isClean else { return nil }
    return sealed
  }

  private static let fields: [(name: String, offset: Int, size: Int)] = [
    ("magic", 0, 8), ("version", 8, 8), ("log offset", 16, 8), ("log length", 24, 8), ("allocation unit", 32, 8),
    ("format", 40, 8), ("UUID of the file system", 48, 16), ("UUID of the device", 64, 16),
    ("UUID of the master", 80, 16), ("checksum", 96, 8),
  ]

  private func changedFields(from old: [UInt8], to new: [UInt8]) -> [String] {
    RepairPlan.fields.filter { field in
      let range = field.offset..<field.offset + field.size
      return old[range] != new[range]
    }.map(\.name)
  }
}
