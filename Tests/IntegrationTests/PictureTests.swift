import Foundation
import Platform
import Testing

/// famfs map, on mounts and devices.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct PictureTests {
  private struct Map: Decodable {
    struct Area: Decodable {
      let kind: String
      let offset, length: UInt64
    }
    struct Device: Decodable {
      let bytes, freeBytes: UInt64
      let areas: [Area]
    }
    struct File: Decodable { let path: String }
    let devices: [Device]
    let largestFiles: [File]
  }

  /// Expects areas to cover a device without gaps, and those that are free to add up.
  private func map(_ volume: TestVolume, _ name: String, _ more: [String] = []) throws -> Map {
    let map: Map = try decode(run(["famfs", "map", "--json"] + more + [name], environment: Host.master.environment))
    for device in map.devices {
      var end: UInt64 = 0
      for area in device.areas {
        #expect(area.offset == end && area.length > 0)
        end += area.length
      }
      #expect(end == device.bytes)
    }
    return map
  }

  private func sum(_ device: Map.Device, _ kind: String) -> UInt64 {
    device.areas.filter { $0.kind == kind }.reduce(0) { $0 + $1.length }
  }

  @Test("of a mount and of its device, with striped files, staged ones and several devices")
  func devices() throws {
    try withRoom { room in
      let (volume, second) = (TestVolume(in: room), room.at("second"))
      try succeed(run(["mkfs.famfs", "--size", "64m", volume.device, second], environment: Host.master.environment))
      try volume.mount(.master, ["--device", second, "--commit", "600"])
      try succeed(volume.famfs("creat", "-s", "20m", volume.master + "/big"))
      try succeed(
        volume.famfs("creat", "-s", "8m", "-N", "4", "-B", "8", "-C", "2m", volume.master + "/striped"))
      try write(contents(3_000_000), to: volume.master + "/staged")
      let live = try map(volume, volume.master)
      #expect(live.devices.count == 2 && live.largestFiles.map(\.path) == ["big", "striped"])
      #expect(live.devices.reduce(0) { $0 + sum($1, "files") } == 28 << 20)
      #expect(live.devices.reduce(0) { $0 + sum($1, "staged") } >= 4 << 20)
      #expect(live.devices.allSatisfy { sum($0, "superblock") == 2 << 20 })
      #expect(sum(live.devices[0], "log") + sum(live.devices[0], "log_free") == 8 << 20)
      let text = try volume.famfs("map", "--width", "80", volume.master)
      try succeed(text)
      #expect(text.stdout.contains("@@@@=") && text.stdout.contains("AAAA") && text.stdout.contains("BBBB"), "\(text)")
      #expect(text.stdout.contains("^") && text.stdout.utf8.allSatisfy { $0 < 128 && $0 != 27 })
      try volume.unmount()
      let rest = try map(volume, volume.device, ["--device", second])
      #expect(rest.devices.allSatisfy { sum($0, "staged") == 0 })
      #expect(rest.largestFiles.map(\.path).sorted() == ["big", "staged", "striped"])
      let lost = try volume.famfs("map", volume.device)
      #expect(lost.status == 0 && lost.stdout.contains("not found on this host") && lost.stderr.contains("--device"))
    }
  }

  @Test(
    "an SVG is XML whatever files are called, and is never written over the device", .enabled(if: Machine.hasPython))
  func drawing() throws {
    try withVolume { volume in
      let name = "a<b>&\"'\u{1}é]]>"
      try volume.add(name, count: 9_000_000)
      let file = volume.room.at("map.svg")
      try succeed(volume.famfs("map", "--svg", file, volume.master))
      let script = """
        import sys, xml.etree.ElementTree as tree
        for e in tree.parse(sys.argv[1]).iter('{http://www.w3.org/2000/svg}title'): print(ascii(e.text))
        """
      let titles = try run(["python3", "-c", script, file])
      try succeed(titles)
      #expect(titles.stdout.contains(#"a<b>&"\'\ufffd\xe9]]>, 8.58M"#), "\(titles)")
      #expect(try volume.famfs("map", "--svg", "-", volume.master).stdout.hasSuffix("</svg>\n"))
      expectRefusal(
        try volume.famfs("map", "--svg", volume.device, volume.master), naming: [volume.device, "name another file"])
      expectRefusal(try volume.famfs("map", "--svg", "/dev/null", volume.master), naming: ["/dev/null"])
      expectRefusal(try volume.famfs("map", "--svg", "/none/x", volume.master), naming: ["/none/x"])
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("a full log of small files gives a small drawing")
  func many() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "128m", ["--alloc-unit", "4k"])
      try volume.mount()
      let tree = room.directory("tree")
      for number in 0..<2000 { try write([1], to: tree + "/f\(number)") }
      try succeed(volume.famfs("cp", "-r", tree, volume.master))
      try volume.unmount()
      let drawing = try volume.famfs("map", "--svg", "-", volume.device).stdout
      #expect(drawing.utf8.count < 2_000_000)
    }
  }

  @Test("what holds no volume is refused in a sentence", arguments: FixtureMountTests.names)
  func refusals(name: String) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      expectRefusal(try volume.famfs("map", room.at("none")), naming: [room.at("none"), "No such file"])
      expectRefusal(try volume.famfs("map", "/etc/passwd"), naming: ["/etc/passwd", "famfs"])
      expectRefusal(try volume.famfs("map", room.path), naming: [room.path])
      expectRefusal(try volume.famfs("map"), naming: ["famfs map --help"])
      expectRefusal(try volume.famfs("map", "--json", "--svg", "x", room.path), naming: ["--svg"])
      expectRefusal(try volume.famfs("map", "-w", "3", room.path), naming: ["--width"])
      // One of the public famfs, which no mount has touched.
      try succeed(run(["sh", "-c", "gzip -dc '\(Machine.fixtures)/\(name).img.gz' > '\(volume.device)'"]))
      #expect(try map(volume, volume.device).devices.count == 1)
    }
  }
}
