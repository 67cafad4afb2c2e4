import Testing

@testable import Famfs
@testable import FamfsCommands

@Suite struct ShadowYAMLTests {
  @Test("an interleaved file lists its strips")
  func strips() throws {
    let layout = FileLayout(
      ExtentList([Extent(offset: 0xa00000, length: 0x400000), Extent(offset: 0x1400000, length: 0x400000)]),
      chunkSize: 0x200000)
    let record = FileRecord(
      path: try EntryPath("d/f"), size: 5_000_000, permissions: 0o1640, userID: .max, groupID: 7, layout: layout)
    let expected = """
      ---
      file:
        path: d/f
        size: 5000000
        flags: 2
        mode: 01640
        uid: -1
        gid: 7
        nextents: 1
        striped_ext_list:
        - nstrips: 2
          chunk_size: 0x200000
          simple_ext_list:
          - devindex: 0
            offset: 0xa00000
            length: 0x400000
          - devindex: 0
            offset: 0x1400000
            length: 0x400000
      ...

      """
    #expect(String(decoding: ShadowYAML.text(of: record), as: UTF8.self) == expected)
  }
}
