import Foundation
import Platform
import Testing

/// Memory that fails where mounts leave their heartbeats.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct BadHeartbeatTests {
  private static let heartbeats = 4096..<4096 + (256 << 10)
  private static let marks = heartbeats.upperBound..<heartbeats.upperBound + (64 << 10)
  private static let kinds = [[], ["--reclaim"]]

  /// The pages with heartbeats.
  private func pages(of volume: TestVolume) throws -> [Int] {
    let area = BadHeartbeatTests.heartbeats
    let bytes = try Media(volume.device).get(area.lowerBound, area.count)
    return stride(from: 0, to: bytes.count, by: 4096).filter { page in
      stride(from: page, to: page + 4096, by: 256).contains { bytes[$0] != 0 }
    }.map { area.lowerBound + $0 }
  }

  /// Whether a status has a page among what cannot be read. Each mount looks at all of them, and pages side by side are
  /// one range.
  private func lists(_ page: Int, in status: String) -> Bool {
    status.matches(of: /"offset":(\d+),"bytes":(\d+),"fault":"unreadable"/).contains { match in
      guard let offset = Int(match.1), let count = Int(match.2) else { return false }
      return (offset..<offset + count).contains(page)
    }
  }

  private func look(_ path: String) -> Errno? {
    do throws(Errno) { _ = try FileDescriptor(opening: path, .readOnly).bytes(at: 0, count: 4096) } catch {
      return error
    }
    return nil
  }

  /// mkfs --force on memory that is good again once it was written, and a mount of that.
  private func mend(_ poisoned: PoisonedVolume, _ options: [String]) throws {
    let volume = poisoned.volume
    poisoned.file.allowCure()
    try succeed(run(["mkfs.famfs", "--force"] + options + [volume.device], environment: Host.master.environment))
    try volume.mount()
    let bytes = try volume.add("file", count: 100_000)
    expect(volume.master + "/file", holds: bytes)
    let status = try poisoned.status()
    #expect(status.contains("\"memory_errors\":[]") && status.contains("\"disabled\":null"), "\(status)")
    #expect(status.contains("\"alive\":true"), "\(status)")
  }

  @Test("a mount whose heartbeat fails leaves it elsewhere: it is seen, it reads on, and unmounts", arguments: kinds)
  func ownPage(options: [String]) throws {
    try withPoisonedVolume(options) { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      try volume.mount(.client)
      let bytes = try volume.add("file", count: 200_000)
      #expect(seconds(until: { volume.mounts.allSatisfy { access($0 + "/file", F_OK) == 0 } }) != nil)
      let bad = try pages(of: volume)
      #expect((1...2).contains(bad.count))
      for page in bad { try poisoned.poison(page..<page + 4096) }
      for (host, page) in zip(Host.allCases, bad) {
        var status = ""
        let isTold = try seconds(until: {
          status = try poisoned.status(host)
          return lists(page, in: status) && status.components(separatedBy: "\"alive\":true").count == 3
        })
        #expect(isTold != nil, "\(status)")
        #expect(status.contains("\"contents\":\"the area of the mounts' heartbeats\""), "\(status)")
        expect(volume.mountPoint(of: host) + "/file", holds: bytes)
      }
      for mount in volume.mounts { expect(mount + "/file", holds: bytes) }
      expectRefusal(try volume.famfs("mkdir", volume.master + "/d"), naming: ["heartbeats", "mkfs.famfs --force"])
      expectRefusal(
        try volume.famfs("takeover", volume.client, as: .client), naming: ["heartbeats", volume.device, "--force"])
      for host in Host.allCases { try volume.unmount(host) }
      try volume.mount()
      expect(volume.master + "/file", holds: bytes)
      try volume.unmount()
      try mend(poisoned, options)
    }
  }

  @Test("where no heartbeat can be left at all, files are read on, and the unmount is clean")
  func allPages() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      let bytes = try volume.add("file", count: 200_000)
      try poisoned.poison(BadHeartbeatTests.heartbeats.lowerBound..<BadHeartbeatTests.marks.upperBound)
      #expect(try seconds(until: { try !poisoned.status().contains("\"disabled\":null") }) != nil)
      expect(volume.master + "/file", holds: bytes)
      try volume.unmount()
      try volume.mount()
      expect(volume.master + "/file", holds: bytes)
      let status = try poisoned.status()
      #expect(status.contains("\"state\":\"serving\"") && status.contains("\"hosts\":[]"), "\(status)")
      try volume.unmount()
      try mend(poisoned, [])
    }
  }

  @Test("where files can be removed they are then EIO, and the volume is not mounted", arguments: [heartbeats, marks])
  func reclaiming(area: Range<Int>) throws {
    try withPoisonedVolume(["--reclaim"]) { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      try volume.add("file", count: 200_000)
      try poisoned.poison(area)
      var failure: Errno?
      let fails = seconds(until: {
        failure = look(volume.master + "/file")
        return failure == .inputOutput
      })
      #expect(fails != nil, "\(String(describing: failure))")
      let isTold: () throws -> Bool = {
        try poisoned.status().contains("\"disabled\":\"the area of the mounts' heartbeats")
      }
      #expect(try seconds(until: isTold) != nil)
      try volume.unmount()
      let refused = try run(["famfs", "mount", volume.device, volume.master], environment: Host.master.environment)
      expectRefusal(refused, naming: [volume.device])
      try mend(poisoned, ["--reclaim"])
    }
  }
}
