import Glibc

/// A file as the model in memory has it.
final class ModelNode {
  enum Content {
    case file([UInt8])
    case directory([Name: ModelNode])
    case link(Name)
  }

  var content: Content
  var mode: UInt32
  var links: UInt32
  var attributes: [Name: [UInt8]] = [:]
  /// The time that was set last; nil since something changed it to now.
  var modified: Int64?
  /// The directory above, of a directory.
  weak var parent: ModelNode?

  init(_ content: Content, mode: UInt32) {
    self.content = content
    self.mode = mode
    links = 1
  }

  var isDirectory: Bool { if case .directory = content { true } else { false } }

  /// The entries of a directory; none of other files.
  var entries: [Name: ModelNode] {
    get { if case .directory(let entries) = content { entries } else { [:] } }
    set {
      content = .directory(newValue)
      modified = nil
    }
  }

  /// The bytes of a file.
  var bytes: [UInt8] {
    get { if case .file(let bytes) = content { bytes } else { [] } }
    set {
      content = .file(newValue)
      modified = nil
    }
  }

  var size: Int {
    switch content {
    case .file(let bytes): bytes.count
    case .link(let target): target.bytes.count
    case .directory: 0
    }
  }

  var type: UInt32 {
    switch content {
    case .file: S_IFREG
    case .directory: S_IFDIR
    case .link: S_IFLNK
    }
  }

  /// The link count that stat(2) must show; nil for directories where those are not counted.
  func linkCount(countingDirectories: Bool) -> UInt32? {
    if !isDirectory { return links }
    return countingDirectories ? 2 + UInt32(entries.values.count { $0.isDirectory }) : nil
  }

  /// Whether this directory is another or lies above it.
  func isAbove(_ other: ModelNode) -> Bool {
    var node: ModelNode? = other
    while let next = node {
      if next === self { return true }
      node = next.parent
    }
    return false
  }

  /// What rename(2) of an entry of a directory to a name of another answers, in the kernel's order of checks: 0 or an
  /// error number.
  static func renameError(
    _ old: ModelNode?, in oldParent: ModelNode, to new: ModelNode?, in newParent: ModelNode, noReplace: Bool,
    exchange: Bool
  ) -> Int32 {
    guard let old else { return ENOENT }
    if noReplace && new != nil { return EEXIST }
    if exchange && new == nil { return ENOENT }
    if oldParent !== newParent {
      if old.isDirectory && old.isAbove(newParent) { return EINVAL }
      if let new, new.isDirectory, new.isAbove(oldParent) { return exchange ? EINVAL : ENOTEMPTY }
    }
    guard let new, new !== old, !exchange else { return 0 }
    if old.isDirectory != new.isDirectory { return old.isDirectory ? ENOTDIR : EISDIR }
    return new.isDirectory && !new.entries.isEmpty ? ENOTEMPTY : 0
  }
}
