import Glibc
import Platform

/// Random operations against a model in memory. WEFT_YARDSTICK_SEED repeats a run whose seed a report has told.
enum RandomCases {
  private static var wantedSeed: UInt64? { getenv("WEFT_YARDSTICK_SEED").flatMap { UInt64(String(cString: $0)) } }

  static let all: [YardstickCase] = [
    YardstickCase("random", "thousands of operations are what a model in memory says") { t in
      try RandomRun(t, seed: wantedSeed ?? 10).run(t.target.operations)
    },
    YardstickCase("random", "2,000 operations of a seed that is new each time") { t in
      try RandomRun(t, seed: wantedSeed ?? Clock.realtime() / 1000 % 1_000_000).run(2_000)
    },
  ]
}
