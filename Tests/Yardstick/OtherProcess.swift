import CYardstick
import Glibc
import Platform

/// A second process that makes system calls when it is told to: for locks, which belong to processes.
final class OtherProcess {
  let trial: Trial
  private var process = yard_process()
  private var isEnded = false

  init(_ trial: Trial, file: StaticString = #fileID, line: Int = #line) throws {
    self.trial = trial
    try Answer(trial: trial, call: "fork", names: [], value: yard_process_start(&process)).ok(file: file, line: line)
  }

  deinit { end() }

  var id: Int32 { process.pid }

  /// Ends it, if that has not been done, as a crash would.
  func end() {
    if !isEnded { yard_process_end(&process) }
    isEnded = true
  }

  /// Memory that it sees at the same address; `start` bytes of it are used for something else.
  private func room(after start: Int = 0) -> UnsafeMutableRawPointer {
    guard let data = yard_process_data(&process) else { preconditionFailure("the process has shared memory") }
    return data + start
  }

  /// Has it make a call, and does not wait.
  func begin(_ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0) throws {
    process.shared.pointee.number = Int(number)
    process.shared.pointee.arguments = (a, b, c, d, 0, 0)
    try Answer(trial: trial, call: "a request", names: [], value: yard_process_begin(&process)).ok()
  }

  /// Waits for the end of the call that was begun.
  func finish(_ label: StaticString) -> Answer {
    let gone = yard_process_finish(&process)
    let value = gone == 0 ? process.shared.pointee.result : gone
    return Answer(trial: trial, call: label, names: [], value: value)
  }

  private func call(_ label: StaticString, _ number: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0)
    throws -> Answer
  {
    try begin(number, a, b, c, d)
    return finish(label)
  }

  /// The descriptor that it then has.
  func open(_ name: Name, _ flags: Int32) throws -> Int {
    room().copyMemory(from: name.pointer, byteCount: name.bytes.count + 1)
    return try call("open in another process", SYS_openat, Int(AT_FDCWD), Int(bitPattern: room()), Int(flags), 0o644)
      .ok()
  }

  func close(_ descriptor: Int) throws -> Answer { try call("close in another process", SYS_close, descriptor) }

  func dup(_ descriptor: Int) throws -> Int { try call("dup in another process", SYS_dup, descriptor).ok() }

  func flock(_ descriptor: Int, _ operation: Int) throws -> Answer {
    try call("flock in another process", SYS_flock, descriptor, operation)
  }

  func beginFlock(_ descriptor: Int, _ operation: Int) throws { try begin(SYS_flock, descriptor, operation) }

  /// fcntl(2) with a lock; F_GETLK's result is what `lastLock` says then.
  func lock(_ descriptor: Int, _ command: Int, _ lock: Lock) throws -> Answer {
    try beginLock(descriptor, command, lock)
    return finish("fcntl in another process")
  }

  func beginLock(_ descriptor: Int, _ command: Int, _ lock: Lock) throws {
    room(after: 8192).storeBytes(of: lock.record, as: Glibc.flock.self)
    try begin(SYS_fcntl, descriptor, command, Int(bitPattern: room(after: 8192)))
  }

  var lastLock: Lock { Lock(room(after: 8192).load(as: Glibc.flock.self)) }

  /// Waits until it sleeps in the call that was begun.
  func waitUntilItSleeps(in number: Int32) throws {
    try trial.wait(
      until: {
        guard processState(id) == "S", let text = try? readSmallFile("/proc/\(id)/syscall") else { return false }
        return String(decoding: text, as: UTF8.self).hasPrefix("\(number) ")
      }, "the other process sleeps in system call \(number)")
  }

  /// Interrupts the call that it sleeps in.
  func interrupt() { kill(id, SIGUSR1) }
}

/// A lock of fcntl(2).
struct Lock: Equatable {
  var type: Int32
  var start: Int
  /// 0 goes to the end of the file, however it grows.
  var count: Int
  /// Who holds it, of F_GETLK.
  var holder: Int32 = 0

  static func read(_ start: Int = 0, _ count: Int = 0) -> Lock { Lock(type: F_RDLCK, start: start, count: count) }
  static func write(_ start: Int = 0, _ count: Int = 0) -> Lock { Lock(type: F_WRLCK, start: start, count: count) }
  static func none(_ start: Int = 0, _ count: Int = 0) -> Lock { Lock(type: F_UNLCK, start: start, count: count) }

  init(type: Int32, start: Int, count: Int) {
    self.type = type
    self.start = start
    self.count = count
  }

  init(_ record: Glibc.flock) {
    type = Int32(record.l_type)
    start = record.l_start
    count = record.l_len
    holder = record.l_pid
  }

  var record: Glibc.flock {
    var record = Glibc.flock()
    record.l_type = Int16(type)
    record.l_whence = Int16(SEEK_SET)
    record.l_start = start
    record.l_len = count
    return record
  }
}

extension File {
  func lock(_ command: Int, _ lock: Lock) -> Answer {
    var record = lock.record
    return withUnsafeMutableBytes(of: &record) { call("fcntl", SYS_fcntl, command, $0.address) }
  }

  /// What F_GETLK or F_OFD_GETLK says would be in the way; nil when nothing is.
  func inTheWay(_ command: Int, of lock: Lock) throws -> Lock? {
    var record = lock.record
    try withUnsafeMutableBytes(of: &record) { _ = try call("fcntl GETLK", SYS_fcntl, command, $0.address).ok() }
    return Int32(record.l_type) == F_UNLCK ? nil : Lock(record)
  }

  func flock(_ operation: Int) -> Answer { call("flock", SYS_flock, operation) }
}
