/// A kind of daemon, by the name that its run directories and records begin with.
package struct ServiceName: Hashable, Sendable {
  /// A word without blanks and slashes.
  package let text: String

  package init(_ text: String) { self.text = text }
}
