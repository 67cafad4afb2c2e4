import Testing
import Yardstick

// The engine over a real mount does what a local file system does.

@Suite("What a local file system does, over /dev/fuse", .yardstick(.memory([])), .timeLimit(.minutes(10)))
struct MemoryTests {
  @Test("FUSE", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }

  @Test("FUSE: cases that need what it lacks") func lacks() throws { try tellWhatIsSkipped() }
}

@Suite(
  "What a local file system does, over /dev/fuse with ACLs and locks",
  .yardstick(.memory([.posixACL, .posixLocks, .flockLocks])), .timeLimit(.minutes(10)))
struct MemoryACLTests {
  @Test("FUSE with ACLs and locks", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }

  @Test("FUSE with ACLs and locks: cases that need what it lacks") func lacks() throws { try tellWhatIsSkipped() }
}

@Suite(
  "What a local file system does, over /dev/fuse with write-back", .yardstick(.memory(.writeBack)),
  .timeLimit(.minutes(10)))
struct MemoryWriteBackTests {
  @Test("FUSE with write-back", arguments: Yardstick.cases)
  func behaves(_ yardstickCase: YardstickCase) throws { try measure(yardstickCase) }

  @Test("FUSE with write-back: cases that need what it lacks") func lacks() throws { try tellWhatIsSkipped() }
}
