import CommandKit

/// What stands behind -o for an ext4, in fstab(5) and elsewhere: words and word=value, with commas between.
package struct KfsMountOptions {
  /// Whether it is mounted for reading.
  package private(set) var isReadOnly = false
  /// Whether a journal that must be replayed is left alone.
  package private(set) var skipsRecovery = false
  /// Whether programs on it may be run.
  package private(set) var allowsPrograms = true
  /// Whether other users may come in; nil where nothing is said.
  package private(set) var allowsOthers: Bool?
  /// Where the file system begins, in bytes.
  package private(set) var offset: UInt64 = 0
  /// Bytes of metadata to keep in memory.
  package private(set) var cacheSize: UInt64?

  /// For mount(8) and systemd, or without effect on a mount that is not written.
  private static let ignored: Set = [
    "defaults", "_netdev", "nofail", "auto", "noauto", "user", "users", "nouser", "owner", "group", "nosuid", "nodev",
    "atime", "noatime", "nodiratime", "diratime", "relatime", "strictatime", "lazytime", "nolazytime", "sync", "async",
    "silent", "loud", "comment", "acl", "user_xattr", "errors", "data", "barrier", "nobarrier", "commit", "discard",
    "nodiscard",
  ]

  /// Takes lists apart; of contradicting words the last one wins.
  /// - Throws: a sentence about the first word that is wrong.
  package init(_ lists: [String]) throws(UsageError) {
    for item in lists.flatMap({ $0.split(separator: ",") }) {
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      try take(parts[0], parts.count > 1 ? parts[1] : nil)
    }
  }

  private mutating func take(_ name: String, _ value: String?) throws(UsageError) {
    switch (name, value) {
    case ("ro", nil): isReadOnly = true
    case ("rw", nil): isReadOnly = false
    case ("norecovery", nil), ("noload", nil): skipsRecovery = true
    case ("noexec", nil): allowsPrograms = false
    case ("exec", nil): allowsPrograms = true
    case ("allow_other", nil): allowsOthers = true
    case ("noallow_other", nil): allowsOthers = false
    case ("offset", let value?): offset = try KfsMountOptions.size(value, of: name)
    case ("cache_size", let value?): cacheSize = try KfsMountOptions.size(value, of: name)
    case ("offset", nil), ("cache_size", nil): throw UsageError("-o \(name) needs a value: \(name)=...")
    default:
      if KfsMountOptions.ignored.contains(name) || name.hasPrefix("x-") || name.hasPrefix("X-") { return }
      throw UsageError("unknown mount option '\(name)\(value.map { "=\($0)" } ?? "")'")
    }
  }

  private static func size(_ text: String, of name: String) throws(UsageError) -> UInt64 {
    guard let size = parseSize(text) else {
      throw UsageError("-o \(name): '\(text)' is not a size; give bytes, or a number with k, m, g or t behind it")
    }
    return size
  }
}
