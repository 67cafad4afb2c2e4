import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// What a node keeps in places that files and directories use differently.
@Suite struct ProgramNumberTests {
  @Test("a node has 80 bytes") func size() { #expect(MemoryLayout<Node>.stride == 80) }

  @Test("a file has extents and a number, a directory children and a number, and none touches the other")
  func places() {
    var file = Node(kind: .file, permissions: 0o644)
    file.allocated = .max
    file.inode = 1 << 40 | 5
    #expect(file.allocated == .max && file.inode == 1 << 40 | 5)
    #expect(file.subdirectories == 0 && file.lastChild == .root)
    file.kind = .removed
    #expect(file.allocated == .max && file.inode == 1 << 40 | 5)

    var directory = Node(kind: .directory, permissions: 0o755)
    directory.subdirectories = .max
    directory.lastChild = NodeNumber(7)
    directory.inode = 1 << 40 | 6
    directory.firstChild = NodeNumber(6)
    #expect(directory.subdirectories == .max && directory.lastChild == NodeNumber(7))
    #expect(directory.inode == 1 << 40 | 6 && directory.firstChild == NodeNumber(6) && directory.allocated == 0)
    directory.subdirectories -= 1
    directory.lastChild = NodeNumber(.max)
    #expect(directory.subdirectories == .max - 1 && directory.lastChild == NodeNumber(.max))
  }
}
