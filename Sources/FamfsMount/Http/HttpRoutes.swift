import Famfs
import Glibc
import Platform

/// What the daemon answers over HTTP: one table of paths, each with the methods that it takes.
struct HttpRoutes: Sendable {
  /// Answers a request with this body.
  typealias Handler = @Sendable (_ body: [UInt8]) -> HttpAnswer

  private let table: [String: [String: Handler]]

  init(_ table: [String: [String: Handler]]) { self.table = table }

  /// What a daemon answers for its mount.
  init(_ mount: ServedMount) {
    let setLevel: Handler = { body in mount.setLogLevel(body) }
    self.init([
      "/pid": ["GET": { _ in .text("pid: \(getpid())\n") }],
      "/icache_stats": ["GET": { _ in .text(mount.lookups, type: HttpAnswer.yaml) }],
      "/icache_dump": ["GET": { _ in .stream(NodeDump(mount.volume), type: HttpAnswer.yaml) }],
      "/log_level": ["GET": { _ in mount.logLevel }, "POST": setLevel, "PUT": setLevel],
    ])
  }

  func answer(_ method: String, _ path: String, body: [UInt8]) -> HttpAnswer {
    guard let methods = table[path] else {
      return .text("there is no \(path); there are \(table.keys.sorted().joined(separator: ", "))\n", status: 404)
    }
    guard let handler = methods[method] else {
      let allowed = methods.keys.sorted().joined(separator: ", ")
      return .text("\(path) takes \(allowed)\n", status: 405, allow: allowed)
    }
    return handler(body)
  }
}

/// An answer to one request.
enum HttpAnswer {
  case text(String, status: UInt32 = 200, type: String = plain, allow: String? = nil)
  /// Made while it is sent, for it may be long.
  case stream(any HttpStream, type: String)

  static let plain = "text/plain; charset=utf-8"
  static let yaml = "application/yaml"
}

/// A long text, piece by piece. One thread asks at a time.
protocol HttpStream: AnyObject {
  /// The next piece; nil at the end, never empty.
  func next() -> [UInt8]?
}

/// What the routes know of the mount that is served.
struct ServedMount: Sendable {
  let volume: Volume
  let log: DaemonLog
  /// How often the kernel asked for a name, and how often there was none.
  let lookupCounts: @Sendable () -> (asked: UInt64, failed: UInt64)

  /// As the public famfs names them. A name is found by its hash, so only the node that has it is looked at.
  fileprivate var lookups: String {
    let (asked, failed) = lookupCounts()
    return "search_count: \(asked)\nnodes_scanned: \(asked - min(asked, failed))\nsearch_fail_ct: \(failed)\n"
  }

  fileprivate var logLevel: HttpAnswer { .text("\(log.level)\n") }

  fileprivate func setLogLevel(_ body: [UInt8]) -> HttpAnswer {
    let text = String(decoding: body, as: UTF8.self).trimmingBlanks()
    guard let level = Int32(text), (0...7).contains(level) else {
      return .text("a log level is a number from 0, only emergencies, to 7, everything\n", status: 400)
    }
    log.level = level
    return logLevel
  }
}
