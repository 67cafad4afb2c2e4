import Testing

@testable import Platform

@Suite struct MountTableTests {
  private func parse(_ table: String) -> [Mount] { Mount.parse(Array(table.utf8)) }

  @Test("a line gives device, mount point, type, source and options")
  func line() throws {
    let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
    let mount = try #require(parse(line).first)
    #expect(mount.device == (98, 0))
    #expect(mount.mountPoint == "/mnt2")
    #expect(mount.type == "ext3")
    #expect(mount.source == "/dev/root")
    #expect(mount.options == "rw,errors=continue")
  }

  @Test("the file system's own options are told, and not those of the mount point")
  func options() throws {
    let mounts = parse(
      """
      22 1 0:20 / /a rw,huge=no - tmpfs a rw,size=1k,huge=always
      23 1 0:21 / /b rw - tmpfs a

      """)
    #expect(mounts.map(\.options) == ["rw,size=1k,huge=always", ""])
    #expect(mounts.map { $0.option("huge") } == ["always", nil] && mounts[0].option("hug") == nil)
  }

  @Test("optional fields may be none or many")
  func optionalFields() {
    let mounts = parse(
      """
      22 1 0:20 / /none rw - tmpfs a rw
      23 1 0:21 / /many rw shared:1 master:2 propagate_from:3 unbindable - fuse.famfs /dev/dax0.0 rw,user_id=0

      """)
    #expect(mounts.map(\.mountPoint) == ["/none", "/many"])
    #expect(mounts.map(\.type) == ["tmpfs", "fuse.famfs"])
    #expect(mounts.map(\.source) == ["a", "/dev/dax0.0"])
    #expect(mounts.map(\.userID) == [nil, 0])
  }

  @Test("octal escapes stand for the bytes that would break the line")
  func escapes() throws {
    let mounts = parse(#"22 1 0:20 / /a\040b\011c\012d\134e\043f rw - fuse.famfs /x\303\274/\040 rw"#)
    #expect(mounts.first?.mountPoint == "/a b\tc\nd\\e#f")
    #expect(mounts.first?.source == "/xü/ ")
  }

  @Test("a backslash without three octal digits is a backslash")
  func noEscapes() {
    let mounts = parse(#"22 1 0:20 / /a\04 rw - t \9990\ rw"# + "\n" + #"22 1 0:20 / /\ rw - t \777 rw"#)
    #expect(mounts.map(\.mountPoint) == [#"/a\04"#, #"/\"#])
    #expect(mounts.first?.source == #"\9990\"#)
  }

  @Test("a mount without a source has an empty one")
  func noSource() {
    let mounts = parse("22 1 0:20 / /a rw - tmpfs  rw,size=1k")
    #expect(mounts.map(\.source) == [""])
    #expect(mounts.map(\.type) == ["tmpfs"])
  }

  @Test("a directory that is called - is no separator")
  func dash() {
    let mounts = parse("22 1 0:20 /- /- rw - tmpfs - rw")
    #expect(mounts.map(\.mountPoint) == ["/-"])
    #expect(mounts.map(\.source) == ["-"])
  }

  static let nonsense = [
    "", " ", "-", "- - - - - - - - -", "1 2 3", "22 1 0:20 / /a rw tmpfs a rw", "22 1 20 / /a rw - tmpfs a rw",
    "22 1 a:b / /a rw - tmpfs a rw", "22 1 99999999999:0 / /a rw - tmpfs a rw", "22 1 0:20 / /a rw - tmpfs",
    "22 1 0:20 / /a rw -", "22 1 -1:2 / /a rw - tmpfs a rw", "22 1 1:2:3 / /a rw - tmpfs a rw",
  ]

  @Test("a line that is none is left out, and the others are read", arguments: nonsense)
  func leftOut(line: String) {
    let good = "22 1 0:20 / /good rw - tmpfs a rw"
    #expect(parse(good + "\n" + line + "\n" + good).map(\.mountPoint) == ["/good", "/good"])
  }

  @Test("bytes that are no UTF-8 do no harm")
  func brokenText() {
    let line = Array("22 1 0:20 / /a".utf8) + [0xff, 0xfe] + Array(" rw - tmpfs a rw".utf8)
    #expect(Mount.parse(line).count == 1)
  }

  @Test("this process has a root directory mounted")
  func own() throws {
    let mounts = try Mount.all()
    let root = try #require(mounts.last { $0.mountPoint == "/" })
    #expect(!root.type.isEmpty)
  }
}
