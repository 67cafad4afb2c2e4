import CommandKit
import Famfs
import Platform

/// What a shadow folder says of a file, in the YAML of the public famfs.
enum ShadowYAML {
  /// The document, in bytes. In a path that is no UTF-8 the bytes that are not are replaced.
  static func text(of record: FileRecord) -> [UInt8] {
    let layout = record.layout
    let head = "---\nfile:\n  path: "
    var rest = """

        size: \(record.size)
        flags: \(record.flags)
        mode: \(octal(record.permissions))
        uid: \(Int32(bitPattern: record.userID))
        gid: \(Int32(bitPattern: record.groupID))

      """
    if layout.chunkSize == 0 {
      rest += "  nextents: \(layout.extents.count)\n  simple_ext_list:\n" + list(layout, indent: "  ")
    } else {
      rest += "  nextents: 1\n  striped_ext_list:\n  - nstrips: \(layout.extents.count)\n"
      rest += "    chunk_size: 0x\(hexadecimal(layout.chunkSize))\n    simple_ext_list:\n"
      rest += list(layout, indent: "    ")
    }
    return Array(head.utf8) + record.path.withBytes { yamlScalar($0) } + Array((rest + "...\n").utf8)
  }

  private static func list(_ layout: FileLayout, indent: String) -> String {
    layout.extents.array.map { extent in
      "\(indent)- devindex: \(extent.device)\n\(indent)  offset: 0x\(hexadecimal(extent.offset))\n"
        + "\(indent)  length: 0x\(hexadecimal(extent.length))\n"
    }.joined()
  }
}
