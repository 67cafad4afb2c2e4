import Famfs
import Platform

extension JSON {
  /// Where a file's bytes lie: `layout`, `chunk_size` (null unless interleaved) and `extents`.
  static func members(of layout: FileLayout) -> [(key: String, value: JSON)] {
    let extents = layout.extents.array.map { extent -> JSON in
      ["device": .number(extent.device), "offset": .number(extent.offset), "length": .number(extent.length)]
    }
    return [
      ("layout", .text(layout.chunkSize == 0 ? "simple" : "interleaved")),
      ("chunk_size", layout.chunkSize == 0 ? .null : .number(layout.chunkSize)), ("extents", .list(extents)),
    ]
  }
}
