import CommandKit

/// What stands behind -o, in fstab(5) and elsewhere: words and word=value, with commas between.
package struct MountOptionList {
  private var values: [String: String] = [:]
  /// The values of all device=PATH, in order.
  package private(set) var devices: [String] = []

  private static let words: Set = [
    "ro", "noexec", "nouseraccess", "dummy", "strict", "coherent", "noncoherent", "publish", "fmap", "nofmap",
  ]
  private static let wordsWithValue: Set = [
    "cache", "timeout", "device", "commit", "user_names", "user_dirs", "user_bytes",
  ]
  private static let opposites = ["rw": "ro", "exec": "noexec"]
  private static let alternatives = [
    "coherent": "noncoherent", "noncoherent": "coherent", "fmap": "nofmap", "nofmap": "fmap",
  ]
  /// For mount(8) and systemd, or true of every famfs mount.
  private static let ignored: Set = [
    "defaults", "_netdev", "nofail", "auto", "noauto", "user", "users", "nouser", "owner", "group", "nosuid", "nodev",
    "noatime", "nodiratime", "diratime", "relatime", "strictatime", "lazytime", "async", "silent", "loud", "comment",
  ]

  /// Takes lists apart.
  /// - Parameters:
  ///   - lists: the arguments of all -o, in order; of contradicting words the last one wins.
  ///   - more: words with a value that are understood here as well.
  ///   - isSloppy: whether unknown words are passed over.
  /// - Throws: a sentence about the first word that is wrong.
  package init(_ lists: [String], and more: Set<String> = [], isSloppy: Bool = false) throws(UsageError) {
    for item in lists.flatMap({ $0.split(separator: ",") }) {
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let (name, value) = (parts[0], parts.count > 1 ? parts[1] : nil)
      if name == "device", let value, !value.isEmpty {
        devices.append(value)
      } else if MountOptionList.wordsWithValue.contains(name) || more.contains(name) {
        guard let value, !value.isEmpty else { throw UsageError("-o \(name) needs a value: \(name)=...") }
        values[name] = value
      } else if MountOptionList.words.contains(name), value == nil {
        values[name] = ""
        if let other = MountOptionList.alternatives[name] { values[other] = nil }
      } else if let opposite = MountOptionList.opposites[name], value == nil {
        values[opposite] = nil
      } else if name == "remount" {
        throw UsageError(
          "mount option 'remount': unmount it and mount it anew; famfs mount --remount changes cache and timeout")
      } else if ["suid", "dev"].contains(name) {
        throw UsageError(
          "mount option '\(name)': a famfs has neither set-user-ID programs nor device files; leave it out")
      } else if !MountOptionList.isIgnored(name) && !isSloppy {
        throw UsageError("unknown mount option '\(item)'")
      }
    }
  }

  private static func isIgnored(_ name: String) -> Bool {
    ignored.contains(name) || name.hasPrefix("x-") || name.hasPrefix("X-")
  }

  package func has(_ name: String) -> Bool { values[name] != nil }

  /// A word's value.
  package subscript(_ name: String) -> String? { values[name] }

  /// What matters of it, in one list again; empty when nothing does.
  package var text: String {
    (values.sorted { $0.key < $1.key }.map { $0.value.isEmpty ? $0.key : "\($0.key)=\($0.value)" }
      + devices.map { "device=\($0)" }).joined(separator: ",")
  }
}
