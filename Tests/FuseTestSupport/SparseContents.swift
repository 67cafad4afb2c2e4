import Fuse
import Platform

/// A file's bytes, as pages that exist only where something was written or allocated.
struct SparseContents {
  /// Bytes of a page.
  static let pageSize: UInt64 = 4096

  private(set) var size: UInt64 = 0
  /// Pages by number. An empty array is a page that is allocated and was not written: it reads as zeros and is a hole.
  private var pages: [UInt64: [UInt8]] = [:]

  /// Pages that take space.
  var pageCount: Int { pages.count }

  private static func pageNumbers(from start: UInt64, to end: UInt64) -> Range<UInt64> {
    start / pageSize..<(end + pageSize - 1) / pageSize
  }

  /// How many pages a range would take that are not there yet.
  func missingPages(from start: UInt64, to end: UInt64) -> UInt64 {
    let numbers = Self.pageNumbers(from: start, to: end)
    if numbers.count < pages.count {
      return numbers.reduce(0) { pages[$1] == nil ? $0 + 1 : $0 }
    }
    return UInt64(numbers.count) - UInt64(pages.keys.count(where: numbers.contains))
  }

  /// Calls `body` with each piece of a range that ends at the file's end at most: bytes, or nil and a count of zeros.
  func forEachPiece(
    from start: UInt64, count: Int, _ body: (ArraySlice<UInt8>?, Int) throws(Errno) -> Void
  ) throws(Errno) {
    guard start < size else { return }
    let end = start + min(UInt64(count), size - start)
    var offset = start
    while offset < end {
      let (number, first) = offset.quotientAndRemainder(dividingBy: Self.pageSize)
      let length = Int(min(Self.pageSize - first, end - offset))
      if let page = pages[number], !page.isEmpty {
        try body(page[Int(first)..<(Int(first) + length)], length)
      } else {
        try body(nil, length)
      }
      offset += UInt64(length)
    }
  }

  /// The bytes of a range, up to the file's end.
  func bytes(from start: UInt64, count: Int) -> [UInt8] {
    var all: [UInt8] = []
    try? forEachPiece(from: start, count: count) { (piece, length) throws(Errno) in
      if let piece { all += piece } else { all += [UInt8](repeating: 0, count: length) }
    }
    return all
  }

  mutating func write(_ data: UnsafeRawBufferPointer, at start: UInt64) {
    var (offset, done) = (start, 0)
    while done < data.count {
      let (number, first) = offset.quotientAndRemainder(dividingBy: Self.pageSize)
      let length = min(Int(Self.pageSize - first), data.count - done)
      let piece = UnsafeRawBufferPointer(rebasing: data[done..<(done + length)])
      change(number) { page in
        UnsafeMutableRawBufferPointer(rebasing: page[Int(first)..<(Int(first) + length)]).copyMemory(from: piece)
      }
      (offset, done) = (offset + UInt64(length), done + length)
    }
    size = max(size, offset)
  }

  private mutating func change(_ number: UInt64, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    if pages[number]?.isEmpty ?? true { pages[number] = [UInt8](repeating: 0, count: Int(Self.pageSize)) }
    pages[number]?.withUnsafeMutableBytes(body)
  }

  /// Cuts or extends the file. What is behind a new end is zeros when the file grows again.
  mutating func resize(to newSize: UInt64) {
    if newSize < size {
      let (last, rest) = newSize.quotientAndRemainder(dividingBy: Self.pageSize)
      for number in pages.keys.filter({ rest == 0 ? $0 >= last : $0 > last }) { pages[number] = nil }
      if rest > 0 { zero(last, from: Int(rest), to: Int(Self.pageSize)) }
    }
    size = newSize
  }

  private mutating func zero(_ number: UInt64, from start: Int, to end: Int) {
    guard pages[number]?.isEmpty == false else { return }
    change(number) { page in
      UnsafeMutableRawBufferPointer(rebasing: page[start..<end]).initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  /// Makes a range read as zeros. Whole pages in it give their space back.
  mutating func punch(from start: UInt64, to end: UInt64) {
    let (first, last) = (start / Self.pageSize, end / Self.pageSize)
    let (head, tail) = (Int(start % Self.pageSize), Int(end % Self.pageSize))
    if first == last { return zero(first, from: head, to: tail) }
    if head > 0 { zero(first, from: head, to: Int(Self.pageSize)) }
    if tail > 0 { zero(last, from: 0, to: tail) }
    let whole = (head > 0 ? first + 1 : first)..<last
    if whole.count < pages.count {
      for number in whole { pages[number] = nil }
    } else {
      for number in pages.keys.filter(whole.contains) { pages[number] = nil }
    }
  }

  /// Gives a range space; it keeps what it holds.
  mutating func allocate(from start: UInt64, to end: UInt64) {
    for number in Self.pageNumbers(from: start, to: end) where pages[number] == nil { pages[number] = [] }
  }

  mutating func extend(to end: UInt64) { size = max(size, end) }

  /// lseek(2) with SEEK_DATA and SEEK_HOLE.
  func seek(_ target: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
    guard offset < size else { throw .noSuchAddress }
    var number = offset / Self.pageSize
    let isData = { pages[$0]?.isEmpty == false }
    switch target {
    case .data:
      guard let next = pages.lazy.filter({ $0.key >= number && !$0.value.isEmpty }).map(\.key).min(),
        next * Self.pageSize < size
      else { throw .noSuchAddress }
      return max(offset, next * Self.pageSize)
    case .hole:
      while isData(number) && number * Self.pageSize < size { number += 1 }
      return min(max(offset, number * Self.pageSize), size)
    }
  }
}
