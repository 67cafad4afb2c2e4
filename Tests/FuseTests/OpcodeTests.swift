import Fuse
import Testing

@Suite("Operations") struct OpcodeTests {
  @Test("operations are called as the kernel calls them")
  func names() {
    #expect(Opcode.lookup.name == "lookup" && Opcode.initialize.name == "init")
    #expect(Opcode.copyFileRange64.name == "copy_file_range_64" && Opcode.rename2.name == "rename2")
    #expect(Set(Opcode.allCases.map(\.name)).count == Opcode.allCases.count)
  }
}
