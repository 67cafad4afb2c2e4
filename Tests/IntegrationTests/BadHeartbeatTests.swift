import Foundation
import Platform
import Testing

/// Memory that fails where mounts leave their signs of life.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct BadHeartbeatTests {
  static let area = 4096..<4096 + (256 << 10) + (64 << 10)

  @Test("a page of signs of life that fails is told of; files are read on, and the unmount is clean")
  func onePage() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      let bytes = try volume.add("file", count: 200_000)
      try poisoned.poison(8192..<12288)
      let isTold: () throws -> Bool = { try poisoned.status().contains("\"offset\":8192,\"bytes\":4096,") }
      let told = try seconds(until: isTold)
      let status = try poisoned.status()
      #expect(told != nil, "\(status)")
      expect(volume.master + "/file", holds: bytes)
      try volume.unmount()
    }
  }

  @Test("all signs of life failing")
  func whole() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      let bytes = try volume.add("file", count: 200_000)
      try poisoned.poison(BadHeartbeatTests.area)
      let isTold: () throws -> Bool = { try poisoned.status().contains("\"memory_errors\":[{") }
      let told = try seconds(until: isTold)
      let status = try poisoned.status()
      #expect(told != nil, "\(status)")
      expect(volume.master + "/file", holds: bytes)
      try volume.unmount()
    }
  }
}
