/// A point in time: seconds since 1970, and nanoseconds into that second. It holds what any file system stores: ext4's
/// times end in the year 2446, which nanoseconds in 64 bits cannot express.
public struct Timestamp: Equatable, Hashable, Sendable, Comparable {
  /// Whole seconds since 1970, negative before.
  public var seconds: Int64
  /// 0 to 999,999,999; they count upwards also before 1970.
  public var nanoseconds: UInt32

  /// 1970.
  public static let epoch = Timestamp(seconds: 0)

  /// A time of these parts.
  /// - Parameter nanoseconds: less than a second.
  public init(seconds: Int64, nanoseconds: UInt32 = 0) {
    precondition(nanoseconds < 1_000_000_000, "nanoseconds of a timestamp are less than a second")
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  /// The time that is this many nanoseconds after 1970.
  public init(nanosecondsSince1970 time: Int64) {
    let (quotient, remainder) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
    seconds = remainder < 0 ? quotient - 1 : quotient
    nanoseconds = UInt32(remainder < 0 ? remainder + 1_000_000_000 : remainder)
  }

  /// Nanoseconds since 1970. Times before 1677 and after 2262 do not fit and become the first or the last that do.
  public var nanosecondsSince1970: Int64 {
    let (scaled, tooFar) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, over) = scaled.addingReportingOverflow(Int64(nanoseconds))
    if tooFar || over { return seconds < 0 ? .min : .max }
    return sum
  }

  /// Whether one time is before another.
  public static func < (left: Timestamp, right: Timestamp) -> Bool {
    (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
  }
}
