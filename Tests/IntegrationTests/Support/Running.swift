import Foundation
import Platform

/// What a program said and how it ended.
struct Outcome {
  /// Its exit status, or 128 and its signal's number added up.
  let status: Int32
  let stdout: String
  let stderr: String

  /// The lines on standard error; those that every small volume gets are left out.
  var complaints: [String] {
    stderr.split(separator: "\n").map(String.init).filter { !$0.contains("is under 4 GiB, the least") }
  }
}

/// Runs a program to its end. Weft's own names are those in `Machine.programs`; others are found in PATH.
@discardableResult
func run(_ words: [String], environment: [String: String] = [:]) throws -> Outcome {
  try Child(words, environment: environment).wait()
}

/// A program under way.
final class Child {
  let pid: pid_t
  private let streams: [Int32]
  private var hasEnded = false

  /// Starts a program. `FAMFS_...` reaches it from `environment` only.
  init(_ words: [String], environment: [String: String] = [:]) throws {
    let (out, complaints) = (try Platform.Spawn.pipe(), try Platform.Spawn.pipe())
    defer { for end in [out.writing, complaints.writing] { close(end) } }
    streams = [out.reading, complaints.reading]
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, out.writing, 1)
    posix_spawn_file_actions_adddup2(&actions, complaints.writing, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("FAMFS_") }
    variables["LC_ALL"] = "C"
    variables.merge(environment) { $1 }
    var argv = words.map { strdup($0) } + [nil]
    var envp = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in argv + envp { free(text) } }
    var child = pid_t()
    let failure = posix_spawnp(&child, Machine.program(words[0]), &actions, &attributes, &argv, &envp)
    guard failure == 0 else { throw Failure("\(Machine.program(words[0])): \(Errno(rawValue: failure))") }
    pid = child
  }

  deinit {
    if !hasEnded { _ = try? wait(seconds: 0) }
    for stream in streams { close(stream) }
  }

  func send(_ signal: Int32) { kill(pid, signal) }

  /// Waits until it has ended and nobody holds its output any more; kills it when that takes too long.
  func wait(seconds: Double = 600) throws -> Outcome {
    let deadline = Platform.Clock.monotonic() + UInt64(seconds * 1e9)
    var texts: [[UInt8]] = [[], []]
    var files = streams.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    var piece = [UInt8](repeating: 0, count: 65536)
    var isLate = false
    while files.contains(where: { $0.fd >= 0 }) {
      let now = Platform.Clock.monotonic()
      isLate = now >= deadline
      if isLate { break }
      guard poll(&files, 2, Int32((deadline - now) / 1_000_000) + 1) > 0 else { continue }
      for place in files.indices where files[place].fd >= 0 && files[place].revents != 0 {
        let count = read(files[place].fd, &piece, piece.count)
        if count > 0 { texts[place] += piece[..<count] } else { files[place].fd = -1 }
      }
    }
    if isLate { kill(pid, SIGKILL) }
    hasEnded = true
    let status = try Platform.Spawn.wait(for: pid)
    if isLate { throw Failure("process \(pid) held its output for more than \(seconds) s") }
    return Outcome(
      status: status, stdout: String(decoding: texts[0], as: UTF8.self),
      stderr: String(decoding: texts[1], as: UTF8.self))
  }
}

/// Something a test cannot go on after.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Waits until something is so, looking every millisecond. The limit is for what never comes, not for slow machines.
/// - Returns: the seconds that it took; nil when it did not come in time.
@discardableResult
func seconds(until isSo: () throws -> Bool, atMost limit: Double = 180) rethrows -> Double? {
  let start = Platform.Clock.monotonic()
  while true {
    if try isSo() { return Double(Platform.Clock.monotonic() - start) / 1e9 }
    if Double(Platform.Clock.monotonic() - start) > limit * 1e9 { return nil }
    Platform.Clock.sleep(nanoseconds: 1_000_000)
  }
}
