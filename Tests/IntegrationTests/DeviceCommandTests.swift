import Foundation
import Testing

/// famfs device as it is typed. What it does with devices is in FamfsCommandsTests and, with real devices, in
/// make test-machines.
@Suite("famfs device, typed", .timeLimit(.minutes(15))) struct DeviceCommandTests {
  private struct Listing: Decodable {
    struct Device: Decodable { let device, path: String }
    let devices: [Device]
  }

  @Test("list names every device there is, or says that there is none and what to do")
  func list() throws {
    let there = ((try? FileManager.default.contentsOfDirectory(atPath: "/sys/bus/dax/devices")) ?? []).filter { name in
      (try? String(contentsOfFile: "/sys/bus/dax/devices/\(name)/size", encoding: .utf8)) ?? "0\n" != "0\n"
    }
    let json = try run(["famfs", "device", "list", "--json"])
    try succeed(json)
    let listing = try JSONDecoder().decode(Listing.self, from: Data(json.stdout.utf8))
    #expect(Set(listing.devices.map(\.device)) == Set(there))
    let text = try run(["famfs", "device", "list"])
    try succeed(text)
    for name in there { #expect(text.stdout.contains("/dev/\(name)\n  mode:        ")) }
    if there.isEmpty { #expect(text.stdout.contains("no dax devices; ") || text.stdout.contains("CONFIG_DEV_DAX")) }
  }

  @Test(
    "what makes no sense is refused in one line",
    arguments: [
      (["mode"], "see famfs device --help"), (["frobnicate"], "see famfs device --help"),
      (["list", "dax0.0"], "see famfs device --help"), (["mode", "a", "devdax", "more"], "see famfs device --help"),
      (["mode", "dax99.99"], "dax99.99 is no dax device"), (["mode", "/dev/null"], "/dev/null is no dax device"),
      (["mode", "../dax0.0"], "is no dax device"), (["mode", "dax99.99", "famfs"], "dax99.99 is no dax device"),
      (["mode", "--force", "dax0.0"], "--force"), (["list", "--no-online"], "--no-online"),
    ])
  func refusals(words: [String], said: String) throws {
    expectRefusal(try run(["famfs", "device"] + words), naming: [said])
  }

  @Test("nofmap and fmap are mount options; no kernel maps a plain file by itself", .realMounts)
  func option() throws {
    try withVolume(size: "32m") { volume in
      for options in [[], ["-o", "nofmap"], ["-o", "nofmap,fmap", "-v"]] {
        try volume.unmount()
        try volume.mount(.master, options)
        #expect(try volume.famfs("status", volume.master).stdout.contains("data path:   FUSE, page cache"))
        try succeed(run(["cp", "/etc/hostname", volume.master + "/file\(options.count)"]))
      }
      expectRefusal(
        try volume.famfs("mount", "-o", "nofmap=1", volume.device, volume.client), naming: ["unknown mount option"])
    }
  }
}
