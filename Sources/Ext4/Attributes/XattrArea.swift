import Platform

/// Where xattrs lie in an inode or in a block: a list of entries from the start, and values before the end.
struct XattrArea {
  /// The first entry.
  let first: Int
  /// What values' offsets count from.
  let base: Int
  /// The end of all.
  let end: Int

  /// Whether entries and values lie within the area, and values behind the list of entries; what is wrong, or nil.
  func problem(in bytes: RawSpan) -> String? {
    var at = first
    while true {
      guard at + 4 <= end else { return "its list has no end" }
      if XattrEntry.isEnd(bytes, at: at) { break }
      guard at + XattrEntry.headSize <= end else { return "an entry crosses its end" }
      let entry = XattrEntry(parsing: bytes, at: at)
      guard at + entry.size <= end else { return "a name crosses its end" }
      at += entry.size
    }
    let endOfList = at + 4
    at = first
    while !XattrEntry.isEnd(bytes, at: at) {
      let entry = XattrEntry(parsing: bytes, at: at)
      at += entry.size
      if entry.valueInum != 0 || entry.valueSize == 0 { continue }
      let start = base + Int(entry.valueOffs)
      guard start >= endOfList, start <= end, Int(entry.valueSize) <= end - start else {
        return "the value of an entry lies outside"
      }
    }
    return nil
  }

  /// Calls `body` with the entries and their names, without prefixes, until it returns false. The area was checked.
  func forEach<Failure: Error>(
    in bytes: RawSpan, _ body: (XattrEntry, RawSpan) throws(Failure) -> Bool
  ) throws(Failure) {
    var at = first
    while !XattrEntry.isEnd(bytes, at: at) {
      let entry = XattrEntry(parsing: bytes, at: at)
      let name = at + XattrEntry.headSize
      guard try body(entry, bytes.extracting(name..<(name + Int(entry.nameLen)))) else { return }
      at += entry.size
    }
  }

  /// The first entry that is as wanted.
  func first(in bytes: RawSpan, where isWanted: (XattrEntry, RawSpan) -> Bool) -> XattrEntry? {
    var found: XattrEntry?
    forEach(in: bytes) { entry, name in
      if isWanted(entry, name) { found = entry }
      return found == nil
    }
    return found
  }

  /// Where the value of an entry lies; empty when it is in an inode of its own.
  func value(of entry: XattrEntry) -> Range<Int> {
    guard entry.valueInum == 0, entry.valueSize > 0 else { return base..<base }
    let start = base + Int(entry.valueOffs)
    return start..<(start + Int(entry.valueSize))
  }
}
