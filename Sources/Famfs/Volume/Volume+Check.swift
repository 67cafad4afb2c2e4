import Memory
import Platform

/// How a volume's space and log are used.
public struct VolumeUsage: Sendable {
  /// Bytes of all devices.
  public let deviceSize: UInt64
  /// Bytes: the unit in which space is given out.
  public let allocationUnit: UInt64
  /// Bytes that belong to superblocks and log.
  public let reserved: UInt64
  /// Bytes of the devices' whole units.
  public let unitBytes: UInt64
  /// Bytes that nobody uses.
  public let free: UInt64
  /// Sum of all files' sizes, in bytes.
  public let fileBytes: UInt64
  /// Files in the volume.
  public let files: UInt64
  /// Directories in the volume, without the root.
  public let directories: UInt64
  /// Log entries, good and bad.
  public let entries: UInt64
  /// Log entries that fit.
  public let entryCapacity: UInt64
  /// Bad entries.
  public let problemCount: UInt64

  /// Bytes of all units in use, superblock and log among them.
  public var allocated: UInt64 { unitBytes - free }
}

/// One of a volume's devices, and how it is used.
public struct DeviceUsage: Equatable, Sendable {
  /// 0 is the one with superblock and log.
  public var index: UInt64
  /// Its identifier.
  public var uuid: UUID
  /// Bytes that belong to the volume.
  public var size: UInt64
  /// Bytes that nobody uses.
  public var free: UInt64
  /// Where this host has it; nil when it cannot be reached from here.
  public var path: String?
  /// Why it cannot be reached, or what is wrong with it: a sentence.
  public var trouble: String?
  /// The pages that its memory is mapped by; nil where nobody knows.
  public var pages: DevicePages?

  /// A device and how it is used.
  public init(
    index: UInt64, uuid: UUID, size: UInt64, free: UInt64, path: String?, trouble: String?, pages: DevicePages? = nil
  ) {
    (self.index, self.uuid, self.size, self.free) = (index, uuid, size, free)
    (self.path, self.trouble, self.pages) = (path, trouble, pages)
  }
}

/// How one of the equal parts of a device is used.
public struct BucketUsage: Sendable {
  /// Where it begins, in bytes.
  public let offset: UInt64
  /// Bytes of it.
  public let length: UInt64
  /// Bytes that are in use, superblock and log among them.
  public let used: UInt64
}

/// What fsck says of a volume.
public struct VolumeReport: Sendable {
  /// How space and log are used.
  public let usage: VolumeUsage
  /// Each device, by its index.
  public let devices: [DeviceUsage]
  /// The first 1000 bad entries.
  public let problems: [LogProblem]
  /// What is wrong with the log header's count of entries, if anything is: then nothing can be added.
  public let headerProblem: String?
  /// What is odd but harmless: files that share their extents, a cut-off append.
  public let warnings: [String]

  /// Whether nothing is wrong.
  public var isClean: Bool { usage.problemCount == 0 && headerProblem == nil }
}

extension Volume {
  /// Counts what is there now.
  public func usage() -> VolumeUsage { replayed.withLock { usage($0) } }

  private func usage(_ replayed: borrowing ReplayedLog) -> VolumeUsage {
    VolumeUsage(
      deviceSize: replayed.devices.reduce(device.size) { $0 + $1.size }, allocationUnit: superblock.allocationUnit,
      reserved: superblock.dataOffset + UInt64(replayed.devices.count) * Superblock.area,
      unitBytes: replayed.space.devices.reduce(0) { $0 + $1.unitCount } * replayed.space.unit,
      free: replayed.space.freeCount * replayed.space.unit, fileBytes: replayed.namespace.totalSize,
      files: replayed.namespace.fileCount, directories: replayed.namespace.directoryCount,
      entries: replayed.namespace.entryCount, entryCapacity: header.capacity, problemCount: replayed.problemCount)
  }

  /// How a device is used, by so many equal parts; the last one has what is left over too.
  public func usage(ofBuckets count: UInt64, device: UInt64 = 0) -> [BucketUsage] {
    replayed.withLock { replayed in
      let space = replayed.space.devices[Int(device)]
      let size = space.unitCount / count
      return (0..<count).map { place in
        let end = place + 1 == count ? space.unitCount : (place + 1) * size
        let used = space.takenUnits(from: place * size, before: end) * space.unit
        return BucketUsage(offset: place * size * space.unit, length: (end - place * size) * space.unit, used: used)
      }
    }
  }

  /// Says what is there now and what is wrong with it.
  public func report() -> VolumeReport {
    let devices = devices()
    return replayed.withLock { replayed in
      var warnings: [String] = []
      if device.size < superblock.deviceSize {
        warnings.append(
          "\(device.path) has \(device.size) bytes and had \(superblock.deviceSize) when the volume was made")
      }
      if header.isTorn {
        warnings.append(
          "the log header's next sequence number is \(header.nextSequence) and its next index "
            + "\(header.nextIndex): an append was cut off, and the next one mends it")
      }
      for (clone, original) in replayed.clones.prefix(1000) {
        let names = (replayed.namespace.path(of: clone), replayed.namespace.path(of: original))
        warnings.append("\(names.0) is a clone: it has the same extents as \(names.1)")
      }
      for device in devices { if let trouble = device.trouble { warnings.append(trouble) } }
      return VolumeReport(
        usage: usage(replayed), devices: devices, problems: replayed.problems, headerProblem: headerProblem,
        warnings: warnings)
    }
  }

  /// Bytes of memory that names, nodes, extents and the space map take.
  public var memoryUse: Int { replayed.withLock { $0.memoryUse } }
}
