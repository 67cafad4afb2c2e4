import CYardstick
import Glibc
import Platform
import Synchronization

/// A place in the source of a case.
typealias Place = (file: StaticString, line: Int)

/// One run of a case on a mount: its checks, and the calls that it makes in its directory.
final class Trial: Sendable {
  let target: YardstickTarget
  let caseName: String
  private let lines = Mutex<[String]>([])

  init(_ target: YardstickTarget, caseName: String) {
    self.target = target
    self.caseName = caseName
  }

  var failures: [String] { lines.withLock { $0 } }

  func has(_ feature: YardstickFeature) -> Bool { target.features.contains(feature) }

  /// Notes a failure; after twenty the rest is not worth reading.
  func fail(_ text: String, at place: Place) {
    lines.withLock { if $0.count < 20 { $0.append("\(place.file):\(place.line): \(text)") } }
  }

  func expect(
    _ isSo: Bool, _ what: @autoclosure () throws -> String, file: StaticString = #fileID, line: Int = #line
  ) rethrows {
    if !isSo { fail("not so: \(try what())", at: (file, line)) }
  }

  func equal<Value: Equatable>(
    _ value: Value, _ expected: Value, _ what: @autoclosure () -> String = "", file: StaticString = #fileID,
    line: Int = #line
  ) {
    if value == expected { return }
    let about = what().isEmpty ? "" : what() + ": "
    fail("\(about)\(Trial.short(value)), expected \(Trial.short(expected))", at: (file, line))
  }

  private static func short(_ value: Any) -> String {
    let text = "\(value)"
    return text.count > 200 ? text.prefix(200) + "..." : text
  }

  /// Waits until something is so. Its limit is for what never comes.
  func wait(
    until isSo: () throws -> Bool, _ what: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line
  ) throws {
    let start = Clock.monotonic()
    while try !isSo() {
      if Clock.monotonic() - start > 180_000_000_000 {
        fail("did not come in three minutes: \(what())", at: (file, line))
        throw Stop()
      }
      Clock.sleep(nanoseconds: 200_000)
    }
  }
}

extension Trial {
  /// A call must succeed, but perhaps not at once: a process that another test has just started has copies of all
  /// descriptors until it closes them, and they hold what a close here has let go.
  func soon(file: StaticString = #fileID, line: Int = #line, _ call: () -> Answer) throws {
    try wait(until: { call().value >= 0 }, "\(call().text) succeeds", file: file, line: line)
  }
}

/// A case ends here, because a call failed that the rest needs. What failed is in the trial's list.
struct Stop: Error, CustomStringConvertible {
  var description: String { "a call failed that the rest needs" }
}

/// What a system call answered.
struct Answer {
  let trial: Trial
  let call: StaticString
  let names: [Name]
  /// A count, or a negative error number.
  let value: Int

  fileprivate var text: String { "\(call)(\(names.map(\.description).joined(separator: ", ")))" }

  private static func words(_ value: Int) -> String {
    value < 0 ? String(cString: yard_error_name(Int32(-value))) : "success (\(value))"
  }

  /// The call must succeed: its result. Otherwise the case ends.
  @discardableResult
  func ok(file: StaticString = #fileID, line: Int = #line) throws -> Int {
    if value >= 0 { return value }
    trial.fail("\(text): \(Answer.words(value))", at: (file, line))
    throw Stop()
  }

  /// The call must fail with one of these errors.
  func fails(_ errors: Int32..., file: StaticString = #fileID, line: Int = #line) {
    if errors.contains(where: { value == -Int($0) }) { return }
    let expected = errors.map { Answer.words(-Int($0)) }.joined(separator: " or ")
    trial.fail("\(text): \(Answer.words(value)), expected \(expected)", at: (file, line))
  }

  /// The call must give this result.
  func gives(_ result: Int, file: StaticString = #fileID, line: Int = #line) {
    if value == result { return }
    trial.fail("\(text): \(Answer.words(value)), expected \(result)", at: (file, line))
  }
}

/// Runs something on a thread of its own, and waits for it. What the thread changes of itself (user, umask, directory)
/// does not reach others; it begins with what the calling thread has.
func onThread(_ body: @escaping @Sendable () throws -> Void) throws {
  let outcome = Outcome()
  try Thread(named: "yardstick") {
    do { try body() } catch { outcome.error.withLock { $0 = error } }
  }.join()
  if let error = outcome.error.withLock({ $0 }) { throw error }
}

private final class Outcome: Sendable {
  let error = Mutex<(any Error)?>(nil)
}

/// unshare(CLONE_FS): umask and working directory are the thread's own from here on.
func unshareFileSystem() -> Int32 {
  let answer = yard_call(Int(SYS_unshare), YARD_CLONE_FS, 0, 0, 0, 0, 0)
  if answer < 0 { errno = Int32(-answer) }
  return answer < 0 ? -1 : 0
}
