/// Why something failed, where no other type says it.
public struct SentenceError: Error, CustomStringConvertible, Sendable {
  /// What failed, of what, why, and what to do next.
  public let description: String

  /// An error that is told to people by this sentence.
  public init(_ sentence: String) { description = sentence }
}
