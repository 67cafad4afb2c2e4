import Glibc

/// Points in time, in nanoseconds.
public enum Clock {
  /// Since some start; never steps back. For measuring and waiting.
  public static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

  /// Since 1970 (UTC).
  public static func realtime() -> UInt64 { read(CLOCK_REALTIME) }

  /// The same as a time of a file, which may also be before 1970: then it is negative.
  public static func fileTime() -> Int64 { Int64(clamping: realtime()) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var now = timespec()
    clock_gettime(clock, &now)
    return UInt64(clamping: now.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: now.tv_nsec)
  }
}

extension Clock {
  /// Waits; a signal does not cut it short.
  public static func sleep(nanoseconds: UInt64) {
    var wanted = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var rest = timespec()
    while nanosleep(&wanted, &rest) == -1 && errno == EINTR { wanted = rest }
  }
}
