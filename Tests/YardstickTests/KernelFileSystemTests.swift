import Testing
import Yardstick

// The kernel's own file systems are what the cases are judged by: an expectation that tmpfs or ext4 does not meet is
// wrong, or is a feature that the target lacks.

@Suite("What a local file system does, on tmpfs", .yardstick(.tmpfs), .timeLimit(.minutes(10)))
struct TmpfsTests {
  @Test("tmpfs", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }

  @Test("tmpfs: cases that need what it lacks") func lacks() throws { try tellWhatIsSkipped() }
}

@Suite("What a local file system does, on ext4", .yardstick(.ext4), .timeLimit(.minutes(10)))
struct Ext4Tests {
  @Test("ext4", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }

  @Test("ext4: cases that need what it lacks") func lacks() throws { try tellWhatIsSkipped() }
}

@Suite("What a local file system does, in WEFT_YARDSTICK_DIR", .yardstick(.named), .timeLimit(.minutes(30)))
struct NamedDirectoryTests {
  @Test("named", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }

  @Test("named: cases that need what it lacks") func lacks() throws { try tellWhatIsSkipped() }
}

/// Is skipped itself when cases are, and so says in the report which and why: of a case that is cancelled among others
/// the console shows nothing.
func tellWhatIsSkipped() throws {
  let target = try #require(MountedTrait.target)
  let lines = Yardstick.cases.compactMap { yardstickCase -> String? in
    let lacking = yardstickCase.lacking(on: target).map(\.rawValue)
    return lacking.isEmpty ? nil : "\(yardstickCase) (lacks \(lacking.joined(separator: ", ")))"
  }
  if !lines.isEmpty { try Test.cancel("\(lines.count) cases: \(lines.joined(separator: "; "))") }
}

/// Runs a case on the suite's mount. A case that needs what the mount lacks is cancelled, with the reason.
func measure(_ yardstickCase: YardstickCase) throws {
  let target = try #require(MountedTrait.target)
  let lacking = yardstickCase.lacking(on: target)
  if !lacking.isEmpty {
    try Test.cancel("\(target.name) lacks \(lacking.map(\.rawValue).joined(separator: ", ")): \(yardstickCase)")
  }
  try yardstickCase.run(on: target)
}
