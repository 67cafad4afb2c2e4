import CommandKit
import Famfs
import FamfsControl
import Glibc
import Memory
import Platform

/// What fsck --repair does before it checks.
struct FsckRepairs {
  private let isDryRun: Bool
  private let isQuiet: Bool
  private let savePath: String?

  init(_ arguments: Arguments) throws(UsageError) {
    isDryRun = arguments.has("dry-run")
    isQuiet = arguments.has("json")
    savePath = arguments["save"]
  }

  /// The device, which nobody else on this host may use meanwhile; for a dry run it is only read.
  func open(_ path: String) throws -> MappedDevice {
    isDryRun ? try MountLock.shared(path, writable: false) : try MountLock.exclusive(path)
  }

  /// Looks for what can be put right and does it, or says what it would do.
  /// - Returns: a sentence for each thing.
  func make(on device: MappedDevice) throws -> [String] {
    let plan = try RepairPlan(for: device, host: try HostIdentity.systemUUID(), cutting: savePath != nil)
    if let savePath, !isDryRun, !plan.cutEntries.isEmpty { try save(plan.cutEntries, in: savePath, of: device.path) }
    for step in plan.steps {
      if !isDryRun { try plan.carryOut(step, on: device) }
      if !isQuiet {
        printOut("\(FsckCommand.command): \(isDryRun ? "would repair" : "repaired") \(oneLine("\(step)"))\n")
      }
    }
    for remark in plan.remarks { printError("\(FsckCommand.command): \(remark)") }
    if plan.steps.isEmpty && !isQuiet { printOut("\(FsckCommand.command): there is nothing that can be repaired\n") }
    return plan.steps.map { "\($0)" }
  }

  /// Writes entries into a new file, a line each: the index, and the 544 bytes in hexadecimal digits.
  private func save(_ entries: [(index: UInt64, bytes: [UInt8])], in path: String, of device: String) throws {
    var text = "# log entries cut off from \(oneLine(device)) by famfs fsck --repair: index, and 544 bytes\n"
    for entry in entries { text += "\(entry.index) \(entry.bytes.map(twoDigits).joined())\n" }
    do throws(Errno) {
      let file = try FileDescriptor(opening: path, [.writeOnly, .create, .exclusive], mode: 0o600)
      try file.write(text)
      try retrying { fsync(file.rawValue) }
    } catch {
      throw FamfsError.other("\(path): \(error); --save needs the name of a new file, so nothing was repaired")
    }
  }

  private func twoDigits(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + hexadecimal(UInt64(byte)) }
}
