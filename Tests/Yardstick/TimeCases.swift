import CYardstick
import Glibc

/// utimensat(2), and which times each operation sets.
enum TimeCases {
  static let all: [YardstickCase] = setting + rules

  private static let setting: [YardstickCase] = [
    YardstickCase("times", "given times are kept to the nanosecond", needs: [.nanoseconds]) { t in
      try t.make("f")
      let all = [Time(0), Time(1, 1), Time(1_000_000_000, 999_999_999), Time(2_000_000_000, 123_456_789)]
      for time in all {
        try t.utimens("f", access: time, modification: Time(time.seconds + 1, time.nanoseconds)).ok()
        t.equal(try t.stat("f").accessed, time)
        t.equal(try t.stat("f").modified, Time(time.seconds + 1, time.nanoseconds))
      }
    },
    YardstickCase("times", "given times are kept to the second, before 1970 too") { t in
      try t.make("f")
      for seconds in [0, 1, 1_700_000_000, 2_147_483_647, -1, -1_000_000_000] {
        if !t.target.seconds.contains(Int64(seconds)) { continue }
        try t.utimens("f", access: Time(Int64(seconds)), modification: Time(Int64(seconds))).ok()
        t.equal([try t.stat("f").accessed, try t.stat("f").modified], [Time(Int64(seconds)), Time(Int64(seconds))])
      }
    },
    YardstickCase("times", "times before 1970 have nanoseconds that count up", needs: [.nanoseconds]) { t in
      try t.make("f")
      for time in [Time(-1, 1), Time(-1, 999_999_999), Time(-1_000_000, 500_000_000)] {
        try t.utimens("f", access: time, modification: time).ok()
        t.equal([try t.stat("f").accessed, try t.stat("f").modified], [time, time])
      }
    },
    YardstickCase("times", "the first and last second that there are, and what lies outside is moved there") { t in
      try t.make("f")
      let first = t.target.seconds.lowerBound, last = t.target.seconds.upperBound
      for second in [first, last, min(last, 1 << 33), min(last, 1 << 32)] {
        try t.utimens("f", access: Time(second), modification: Time(second)).ok()
        t.equal([try t.stat("f").accessed, try t.stat("f").modified], [Time(second), Time(second)])
      }
      if last < Int64.max {
        try t.utimens("f", access: Time(last + 1), modification: Time(last + 1_000_000_000, 5)).ok()
        t.equal([try t.stat("f").accessed, try t.stat("f").modified], [Time(last), Time(last)])
      }
      if first > Int64.min {
        try t.utimens("f", access: Time(first - 1), modification: Time(first - 1_000_000_000)).ok()
        t.equal([try t.stat("f").accessed, try t.stat("f").modified], [Time(first), Time(first)])
      }
    },
    YardstickCase("times", "UTIME_OMIT leaves a time, and UTIME_NOW takes the clock's") { t in
      try t.make("f")
      try t.utimens("f", access: Time(1000), modification: Time(2000)).ok()
      try t.utimens("f", access: nil, modification: Time(3000)).ok()
      t.equal([try t.stat("f").accessed, try t.stat("f").modified], [Time(1000), Time(3000)])
      try t.utimens("f", access: Time(4000), modification: nil).ok()
      t.equal([try t.stat("f").accessed, try t.stat("f").modified], [Time(4000), Time(3000)])
      let before = Time.coarse()
      try t.utimens("f", access: .now, modification: nil).ok()
      t.equal(try t.stat("f").modified, Time(3000))
      try t.expect(try t.stat("f").accessed.seconds >= before.seconds, "atime is now: \(try t.stat("f").accessed)")
      try t.utimens("f", access: Time(5), modification: .now).ok()
      t.equal(try t.stat("f").accessed, Time(5))
      t.expect(try t.stat("f").modified.seconds >= before.seconds, "mtime is now")
      try t.changes([("f", [])], "two UTIME_OMIT") { try t.utimens("f", access: nil, modification: nil).ok() }
    },
    YardstickCase("times", "nanoseconds of a second and more are EINVAL") { t in
      try t.make("f")
      try t.changes([("f", [])], "a wrong utimensat") {
        t.utimens("f", access: Time(1, 1_000_000_000), modification: Time(1)).fails(EINVAL)
        t.utimens("f", access: Time(1), modification: Time(1, -1)).fails(EINVAL)
      }
    },
    YardstickCase("times", "setting times sets ctime to now") { t in
      try t.make("f")
      let before = try t.stat("f").changed
      try t.tick(past: [t.stat("f")])
      try t.utimens("f", access: Time(1), modification: Time(1)).ok()
      t.expect(try t.stat("f").changed > before, "ctime goes on")
    },
    YardstickCase("times", "others may set the time to now when they may write, and to no other", needs: [.root]) { t in
      try t.make("f", [], 0o666)
      try t.make("g", [], 0o644)
      try t.asUser(User.alice) {
        try t.utimens("f", access: .now, modification: .now).ok()
        t.utimens("f", access: Time(1), modification: Time(1)).fails(EPERM)
        t.utimens("f", access: nil, modification: .now).fails(EPERM)
        t.utimens("g", access: .now, modification: .now).fails(EACCES)
        t.utimens("g", access: nil, modification: nil).gives(0)
      }
      try t.chown("g", User.alice, -1).ok()
      try t.chmod("g", 0o444).ok()
      try t.asUser(User.alice) { try t.utimens("g", access: Time(1), modification: Time(1)).ok() }
    },
    YardstickCase("times", "futimens sets the times of an open file, and of one without a name") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      try t.unlink("f").ok()
      let times = [timespec(tv_sec: 1000, tv_nsec: 0), timespec(tv_sec: 2000, tv_nsec: 0)]
      times.withUnsafeBytes { file.call("futimens", SYS_utimensat, 0, $0.address, 0).gives(0) }
      t.equal([try file.stat().accessed, try file.stat().modified], [Time(1000), Time(2000)])
      file.close().gives(0)
    },
  ]

  private static let both: TimeSet = [.modification, .change]

  private static let rules: [YardstickCase] = [
    YardstickCase("times", "a new file has four times that are the same, and now") { t in
      let before = Time.coarse()
      try t.make("f")
      try t.mkdir("d").ok()
      try t.symlink("x", "l").ok()
      for name: Name in ["f", "d", "l"] {
        let about = try t.lstat(name)
        t.equal([about.accessed, about.modified], [about.changed, about.changed], "times of \(name)")
        let floor = t.has(.nanoseconds) ? before : Time(before.seconds)
        t.expect(about.changed >= floor, "\(name) is not older than the clock said: \(about.changed), \(floor)")
        t.expect(about.changed.seconds <= Time.coarse().seconds + 1, "nor from the future")
        if let born = about.born { t.equal(born, about.changed, "birth of \(name)") }
      }
    },
    YardstickCase("times", "the time of birth stays", needs: [.birthTime]) { t in
      try t.make("f")
      let born = try t.stat("f").born
      t.expect(born != nil, "statx tells it")
      try t.tick(past: [t.stat("f")])
      try t.chmod("f", 0o600).ok()
      try t.utimens("f", access: Time(1), modification: Time(1)).ok()
      try t.rename("f", "g").ok()
      try t.truncate("g", 100).ok()
      t.equal(try t.stat("g").born, born)
    },
    YardstickCase("times", "a write sets mtime and ctime, and a read neither") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      try t.utimens("f", access: .now, modification: nil).ok()
      try t.changes([("f", both)], "write") { file.write([1]).gives(1) }
      try t.changes([("f", both)], "pwrite inside") { file.pwrite([1], at: 0).gives(1) }
      try t.changes([("f", both)], "pwrite behind the end") { file.pwrite([1], at: 100).gives(1) }
      try t.utimens("f", access: Time(Time.coarse().seconds + 1000), modification: nil).ok()
      try t.changes([("f", [])], "a read of what was read since") { t.equal(try file.pread(1, at: 0), [1]) }
      try t.changes([("f", [])], "open and close") { try t.open("f", O_RDWR).file().close().gives(0) }
      try t.changes([("f", [])], "stat, access") { t.access("f", R_OK).gives(0) }
      file.close().gives(0)
    },
    YardstickCase("times", "reading sets atime when it is older than the last change", needs: [.accessTimes]) { t in
      try t.make("f", bytes("abc"))
      try t.mkdir("d").ok()
      try t.utimens("f", access: Time(1000), modification: Time(2000)).ok()
      try t.changes([("f", .access)], "a read") { try t.holds("f", bytes("abc")) }
      try t.utimens("d", access: Time(1000), modification: Time(2000)).ok()
      try t.changes([("d", .access)], "a listing") { t.equal(try t.list("d"), []) }
      try t.utimens("f", access: Time(1000), modification: Time(2000)).ok()
      try t.changes([("f", [])], "a read with O_NOATIME") {
        let file = try t.open("f", O_RDONLY | Flag.noAccessTime).file()
        t.equal(try file.read(3), bytes("abc"))
        file.close().gives(0)
      }
    },
    YardstickCase("times", "times that were set stay when the file is closed, renamed and linked") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      file.write(pattern(10_000)).gives(10_000)
      try t.utimens("f", access: Time(1000), modification: Time(2000)).ok()
      file.sync().gives(0)
      t.equal(try t.stat("f").modified, Time(2000))
      file.close().gives(0)
      try t.rename("f", "g").ok()
      try t.chmod("g", 0o600).ok()
      t.equal([try t.stat("g").accessed, try t.stat("g").modified], [Time(1000), Time(2000)])
    },
    YardstickCase("times", "what fails sets no time") { t in
      try t.make("f", bytes("abc"), 0o644)
      try t.mkdir("d").ok()
      try t.make("d/f")
      try t.changes([("f", []), ("d", []), ("d/f", [])], "calls that fail") {
        t.mkdir("d/f").fails(EEXIST)
        t.rmdir("d").fails(ENOTEMPTY)
        t.rename("d", "f").fails(ENOTDIR)
        t.link("f", "d/f").fails(EEXIST)
        t.open("d/f", O_CREAT | O_EXCL | O_RDWR).fails(EEXIST)
        t.unlink("d/g").fails(ENOENT)
        t.truncate("f", -1).fails(EINVAL)
      }
    },
  ]
}
