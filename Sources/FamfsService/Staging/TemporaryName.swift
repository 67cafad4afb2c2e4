/// Names that files have only until they are complete, as programs choose them.
enum TemporaryName {
  /// Whether a name is one: `tmp...`, `....tmp`, `.part`, `.lock`, `~` behind it, and `.NAME.xxxxxx` as rsync has it.
  static func isTemporary(_ name: [UInt8]) -> Bool {
    let text = String(decoding: name, as: UTF8.self).lowercased()
    if text.hasPrefix("tmp") || text.hasPrefix(".tmp") || text.hasPrefix(".#") || text.hasPrefix("#") { return true }
    let endings = [".tmp", ".temp", ".part", ".partial", ".lock", ".swp", "~"]
    if endings.contains(where: { text.hasSuffix($0) }) { return true }
    guard text.hasPrefix("."), let dot = text.lastIndex(of: "."), dot > text.startIndex else { return false }
    let suffix = text[dot...].dropFirst()
    return suffix.count >= 6 && suffix.allSatisfy { $0.isLetter || $0.isNumber }
  }
}
