import Testing
import Yardstick

// The kernel's own file systems are what the cases are judged by: an expectation that tmpfs or ext4 does not meet is
// wrong, or is a feature that the target lacks.

@Suite("What a local file system does, on tmpfs", .yardstick(.tmpfs), .timeLimit(.minutes(10)))
struct TmpfsTests {
  @Test("tmpfs", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }
}

@Suite("What a local file system does, on ext4", .yardstick(.ext4), .timeLimit(.minutes(10)))
struct Ext4Tests {
  @Test("ext4", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }
}

@Suite("What a local file system does, in WEFT_YARDSTICK_DIR", .yardstick(.named), .timeLimit(.minutes(30)))
struct NamedDirectoryTests {
  @Test("named", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }
}

/// Runs a case on the suite's mount. A case that needs what the mount lacks is cancelled, with the reason.
private func measure(_ yardstickCase: YardstickCase) throws {
  let target = try #require(MountedTrait.target)
  let lacking = yardstickCase.lacking(on: target)
  if !lacking.isEmpty {
    try Test.cancel("\(target.name) lacks \(lacking.map(\.rawValue).joined(separator: ", ")): \(yardstickCase)")
  }
  try yardstickCase.run(on: target)
}
