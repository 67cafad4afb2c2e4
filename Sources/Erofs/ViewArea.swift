import Famfs
import Platform

/// The files that hold metadata of views: `.erofs-1`, `.erofs-2`, ... in the volume's root. An area is filled from its end
/// to its beginning, so where the last view's metadata begins says what is free: all before it.
struct ViewArea: Equatable {
  var number: UInt64
  var extent: Extent

  static let prefix = ".erofs-"
  /// The least bytes of one, and how many views of the present size one has room for.
  static let (least, views): (UInt64, UInt64) = (2 << 20, 8)

  var name: String { ViewArea.prefix + "\(number)" }

  /// The number in an area's name; nil for other names.
  static func number(in name: UnsafeRawBufferPointer) -> UInt64? {
    let prefix = ViewArea.prefix.utf8
    guard name.count > prefix.count, name.count <= prefix.count + 18, name.starts(with: prefix) else { return nil }
    let digits = name.dropFirst(prefix.count)
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return UInt64(String(decoding: digits, as: UTF8.self))
  }

  /// All areas of a volume.
  static func all(of volume: Volume) throws(FamfsError) -> [ViewArea] {
    try named(in: volume).compactMap { area, number in
      let extents = volume.extents(of: number)
      guard extents.count == 1, extents[0].device == 0 else { return nil }
      return ViewArea(number: area, extent: extents[0])
    }
  }

  /// One more than that of any name that looks like an area's.
  static func unusedNumber(in volume: Volume) throws(FamfsError) -> UInt64 {
    (try named(in: volume).map(\.number).max() ?? 0) + 1
  }

  private static func named(in volume: Volume) throws(FamfsError) -> [(number: UInt64, node: NodeNumber)] {
    var found: [(UInt64, NodeNumber)] = []
    do throws(Errno) {
      try volume.children(of: .root, after: nil) { number, _, name in
        if let area = ViewArea.number(in: name) { found.append((area, number)) }
        return true
      }
    } catch { throw .memory(volume.device.path, error) }
    return found
  }

  /// Whether metadata that begins at this byte lies in it.
  func holds(_ offset: UInt64) -> Bool { offset >= extent.offset && offset - extent.offset < extent.length }
}
