import CommandKit
import Famfs
import Platform

/// What fsck and mkfs print. Scripts of the public famfs read these lines: their words must stay.
enum Summary {
  static func superblock(_ superblock: Superblock, role: Role, isVerbose: Bool) -> String {
    var text = """
      Famfs Superblock:
        Filesystem UUID:   \(superblock.uuid)
        Device UUID:       \(superblock.deviceUUID)
        System UUID:       \(superblock.systemUUID)
        role of this node: \(role == .master ? "Owner" : "Client")
        alloc_unit:        \(superblock.allocationUnit)
        log size (bytes):  \(superblock.logLength)

      """
    if isVerbose {
      text += """
          format:            \(superblock.major).\(superblock.minor), version \(Superblock.version)
          log_offset:        \(superblock.logOffset)
          log_len:           \(superblock.logLength)
          sizeof(log header) \(LogHeader.size), sizeof(log entry) \(LogEntry.size)
          primary device:    \(oneLine(superblock.devicePath)), \(superblock.deviceSize) bytes when made

        """
    }
    return text
  }

  static func usage(_ usage: VolumeUsage, isHuman: Bool) -> String {
    let size: (UInt64) -> String = { isHuman ? humanSize($0) : "\($0)" }
    let amplification = usage.fileBytes == 0 ? 0 : Double(usage.allocated - usage.reserved) / Double(usage.fileBytes)
    let used = Double(usage.allocated) / Double(max(1, usage.deviceSize)) * 100
    let allocated = isHuman ? "Allocated space:" : "Allocated bytes:"
    return """
      Log stats:
        \(usage.entries) of \(usage.entryCapacity) entries used
        \(usage.problemCount) bad log entries detected
        \(usage.files) files
        \(usage.directories) directories
      Capacity:
        Device capacity:        \(size(usage.deviceSize))
        Bitmap capacity:        \(size(usage.unitBytes))
        Sum of file sizes:      \(size(usage.fileBytes))
        \(allocated)        \(size(usage.allocated))
        Free space:             \(size(usage.free))
        Space amplification:    \(decimal(amplification))
        Percent used:           \(decimal(used))%

      """
  }
}
