import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct BucketUsageTests {
  @Test("taken units are counted in every range, whole words or not")
  func counts() {
    var space = SpaceMap(size: 4096 * 330, unit: 4096, reserved: 4096 * 5)
    for (start, count) in [(60, 9), (128, 64), (200, 1), (319, 11)] as [(UInt64, UInt64)] {
      space.take(Extent(offset: start * 4096, length: count * 4096))
    }
    let isTaken = (0..<330).map { space.isTaken(Extent(offset: $0 * 4096, length: 4096)) }
    for start in 0...330 {
      for end in start...330 {
        let expected = isTaken[start..<end].count { $0 }
        if space.takenUnits(from: UInt64(start), before: UInt64(end)) != expected {
          Issue.record("\(start)..<\(end) has \(expected)")
        }
      }
    }
  }
}
