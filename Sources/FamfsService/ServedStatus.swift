import Famfs
import FamfsControl
import Glibc
import Platform

extension MountStatus {
  /// How the mount of a volume is that this process serves.
  init(_ volume: Volume, mountedAs device: (major: UInt32, minor: UInt32), _ settings: LiveSettings, isStrict: Bool) {
    self.init(mountMajor: device.major, mountMinor: device.minor, isMaster: volume.role == .master)
    let usage = volume.usage()
    self.isStrict = isStrict
    isNamed = volume.isNamed
    processID = UInt64(getpid())
    (volumeUUID, masterUUID) = (volume.superblock.uuid, volume.master)
    dataPath = settings.cache == .never ? "FUSE, direct I/O" : "FUSE, page cache"
    if settings.kernelMaps {
      dataPath = "famfs kernel, the memory itself"
    } else if FileMap.isOffered(by: volume) {
      dataPath += "; the memory itself by famfs exec"
    }
    (entries, entryCapacity, badEntries) = (usage.entries, usage.entryCapacity, usage.problemCount)
    (files, directories) = (usage.files, usage.directories)
    (usedBytes, freeBytes) = (usage.allocated, usage.free)
  }
}

extension MemoryStatus {
  /// How the memory of a volume is that this process serves.
  init(_ volume: Volume, _ coherence: Coherence) {
    self.init(coherence, disabled: volume.failure, unlisted: 0)
    (ranges, unlisted) = volume.badMemory()
  }
}
