/// What the daemon answers over HTTP: one table of paths, each with the methods that it takes.
package struct HttpRoutes: Sendable {
  /// Answers a request with this body.
  package typealias Handler = @Sendable (_ body: [UInt8]) -> HttpAnswer

  private let table: [String: [String: Handler]]

  package init(_ table: [String: [String: Handler]]) { self.table = table }

  package func answer(_ method: String, _ path: String, body: [UInt8]) -> HttpAnswer {
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
package enum HttpAnswer {
  case text(String, status: UInt32 = 200, type: String = plain, allow: String? = nil)
  /// Made while it is sent, for it may be long.
  case stream(any HttpStream, type: String)

  package static let plain = "text/plain; charset=utf-8"
  package static let yaml = "application/yaml"
  package static let json = "application/json"
}

/// A long text, piece by piece. One thread asks at a time.
package protocol HttpStream: AnyObject {
  /// The next piece; nil at the end, never empty.
  func next() -> [UInt8]?
}
