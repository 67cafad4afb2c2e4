import CYardstick
import Glibc

/// A time of a file.
struct Time: Hashable, Comparable, Sendable, CustomStringConvertible {
  var seconds: Int64
  var nanoseconds: Int

  init(_ seconds: Int64, _ nanoseconds: Int = 0) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  /// UTIME_NOW.
  static let now = Time(0, (1 << 30) - 1)
  /// UTIME_OMIT.
  static let omit = Time(0, (1 << 30) - 2)

  /// What the kernel gives to files that change now; it steps with the timer.
  static func coarse() -> Time {
    var now = timespec()
    clock_gettime(clockid_t(5), &now)  // CLOCK_REALTIME_COARSE
    return Time(Int64(now.tv_sec), now.tv_nsec)
  }

  static func < (a: Time, b: Time) -> Bool { (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds) }

  var description: String { "\(seconds).\(String(String(1_000_000_000 + nanoseconds).dropFirst()))" }
}

/// What stat(2) and statx(2) say of a file.
struct Stat: Equatable {
  let inode, size, blocks, device, special: UInt64
  /// Type and permissions.
  let mode: UInt32
  let links, user, group, blockSize: UInt32
  let accessed, modified, changed: Time
  /// nil when the file system does not tell.
  let born: Time?

  /// The low 12 bits of the mode.
  var permissions: UInt32 { mode & 0o7777 }
  /// The rest of it.
  var type: UInt32 { mode & S_IFMT }

  init(_ about: yard_stat) {
    inode = about.inode
    size = about.size
    blocks = about.blocks
    device = about.device
    special = about.special_device
    mode = about.mode
    links = about.links
    user = about.user
    group = about.group
    blockSize = about.block_size
    accessed = Time(about.access_seconds, Int(about.access_nanoseconds))
    modified = Time(about.modification_seconds, Int(about.modification_nanoseconds))
    changed = Time(about.change_seconds, Int(about.change_nanoseconds))
    born = about.has_birth == 1 ? Time(about.birth_seconds, Int(about.birth_nanoseconds)) : nil
  }
}

/// Which times of a file something changes.
struct TimeSet: OptionSet, CustomStringConvertible {
  let rawValue: Int
  static let access = TimeSet(rawValue: 1)
  static let modification = TimeSet(rawValue: 2)
  static let change = TimeSet(rawValue: 4)

  /// Those that differ.
  init(from old: Stat, to new: Stat) {
    var set: TimeSet = []
    if old.accessed != new.accessed { set.insert(.access) }
    if old.modified != new.modified { set.insert(.modification) }
    if old.changed != new.changed { set.insert(.change) }
    self = set
  }

  init(rawValue: Int) { self.rawValue = rawValue }

  var description: String {
    let names = [(TimeSet.access, "atime"), (.modification, "mtime"), (.change, "ctime")]
    return "[" + names.filter { contains($0.0) }.map(\.1).joined(separator: ", ") + "]"
  }
}

extension Trial {
  /// Waits until a change would give a file another time than any that it has.
  func tick(past stats: [Stat]) throws {
    // A time can be some milliseconds ahead of the coarse clock: Linux gives finer ones where they would be the same.
    let limit = Time(Time.coarse().seconds + 2)
    let last = stats.flatMap { [$0.accessed, $0.modified, $0.changed] }.filter { $0 < limit }.max()
    guard let last else { return }
    let isCoarse = !has(.nanoseconds)
    try wait(until: { isCoarse ? Time.coarse().seconds > last.seconds : Time.coarse() > last }, "the clock's next step")
  }

  /// Makes a change, and checks which times of some files it changes: those, and no other.
  func changes(
    _ expected: [(Name, TimeSet)], _ what: String, file: StaticString = #fileID, line: Int = #line,
    by change: () throws -> Void
  ) throws {
    let before = try expected.map { try lstat($0.0, file: file, line: line) }
    try tick(past: before)
    try change()
    for (index, (name, set)) in expected.enumerated() {
      let found = TimeSet(from: before[index], to: try lstat(name, file: file, line: line))
      equal(found.description, set.description, "times of \(name) that \(what) changes", file: file, line: line)
    }
  }
}
