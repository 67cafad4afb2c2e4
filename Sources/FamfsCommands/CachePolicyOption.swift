import CommandKit
import FamfsControl

extension CachePolicy {
  /// Reads a policy's name.
  package init(reading text: String) throws(UsageError) {
    guard let policy = CachePolicy(rawValue: text) else {
      throw UsageError("cache '\(text)' is none of never, auto and always")
    }
    self = policy
  }

  /// For a help's eyes.
  package static var choices: String { allCases.map(\.rawValue).joined(separator: "|") }
}
