import CommandKit
import Ext4
import Glibc
import Platform

extension MakeOptions {
  /// What a command line says.
  init(_ arguments: Arguments) throws {
    self.init()
    if let size = try arguments.size("block-size") { blockSize = Int(clamping: size) }
    if let ratio = try arguments.size("bytes-per-inode") {
      guard (1024...(64 << 20)).contains(ratio) else {
        throw UsageError("-i: \(ratio) bytes for each inode cannot be had; give 1024 to 67108864")
      }
      inodeRatio = ratio
    }
    inodeCount = try arguments.number("inodes", in: 1...UInt32.max).map(UInt64.init)
    if let size = try arguments.size("inode-size") { inodeSize = Int(clamping: size) }
    if let text = arguments["reserved"] {
      guard let percent = Double(text), (0...50).contains(percent) else {
        throw UsageError("-m: '\(text)' is not a percentage from 0 to 50")
      }
      reservedPercent = percent
    }
    if let text = arguments["label"] {
      guard text.utf8.count <= 16 else { throw UsageError("-L: '\(text)' has more than 16 bytes") }
      label = text
    }
    if let text = arguments["uuid"] { uuid = try MakeOptions.uuid(text) }
    for list in arguments.all("features") {
      do { try features.apply(list) } catch { throw UsageError("-O: \(error)") }
    }
    for list in arguments.all("journal") { try takeJournal(list) }
    for list in arguments.all("extended") {
      for word in list.split(separator: ",") { try takeExtended(String(word)) }
    }
  }

  private static func uuid(_ text: String) throws(UsageError) -> UUID {
    if text == "random" { return .random() }
    if text == "clear" { return .zero }
    guard let uuid = UUID(text) else {
      throw UsageError("-U: '\(text)' is not a UUID; give 32 hexadecimal digits, random or clear")
    }
    return uuid
  }

  private mutating func takeJournal(_ list: String) throws(UsageError) {
    for word in list.split(separator: ",") {
      guard word.hasPrefix("size="), let size = UInt64(word.dropFirst(5)) else {
        throw UsageError("-J: '\(word)' is not known; give size=MIB")
      }
      journalMebibytes = size
    }
  }

  private mutating func takeExtended(_ word: String) throws(UsageError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let value = parts.count > 1 ? parts[1] : nil
    switch (parts[0], value) {
    case ("lazy_itable_init", nil), ("lazy_itable_init", "1"): leavesTables = true
    case ("lazy_itable_init", "0"): leavesTables = false
    case ("lazy_journal_init", nil), ("lazy_journal_init", "1"): leavesJournal = true
    case ("lazy_journal_init", "0"): leavesJournal = false
    case ("discard", nil): discards = true
    case ("nodiscard", nil): discards = false
    case ("root_owner", nil): rootOwner = (getuid(), getgid())
    case ("root_owner", let value?):
      let numbers = value.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
      guard numbers.count == 2, let user = numbers[0], let group = numbers[1] else {
        throw UsageError("-E: '\(word)' is not an owner; give root_owner=UID:GID")
      }
      rootOwner = (user, group)
    case ("hash_seed", let value?):
      guard let seed = UUID(value) else { throw UsageError("-E: '\(value)' is not a UUID") }
      hashSeed = seed
    default:
      throw UsageError(
        "-E: '\(word)' is not known; possible are lazy_itable_init=0|1, lazy_journal_init=0|1, root_owner=UID:GID, "
          + "hash_seed=UUID, discard and nodiscard")
    }
  }
}
