import Famfs
import Platform
import Serving

/// All that the daemon answers the kernel with, node by node, as a YAML list: made a few nodes at a time, for there may
/// be millions.
final class NodeDump: HttpStream {
  private let volume: Volume
  private var number: UInt32 = 0
  private static let batch: UInt32 = 64

  init(_ volume: Volume) { self.volume = volume }

  func next() -> [UInt8]? {
    var text = number == 0 ? Array("---\nnodes:\n".utf8) : []
    let count = volume.nodeCount
    let first = number
    // Bad entries have no text, however many there are in a row.
    while number < count && (number - first < NodeDump.batch || text.isEmpty) {
      text += describe(NodeNumber(number))
      number += 1
    }
    return text.isEmpty ? nil : text
  }

  private func describe(_ number: NodeNumber) -> [UInt8] {
    guard let node = try? volume.node(number) else { return [] }
    let path = Array(printable(volume.path(of: number)).utf8)
    let head =
      "- ino: \(node.inode(number))\n  type: \(node.kind == .directory ? "directory" : "file")\n  path: "
    let tail =
      "\n  size: \(node.size)\n  mode: 0\(String(node.permissions, radix: 8))\n  uid: \(node.userID)\n"
      + "  gid: \(node.groupID)\n"
    return Array(head.utf8) + path.withUnsafeBytes { yamlScalar($0) } + Array(tail.utf8)
  }
}
