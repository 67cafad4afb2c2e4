import Famfs
import Platform

/// Strictness: doing no more than the public famfs does, so that a script that works here works there.
package enum Strict {
  /// The least device that the public mkfs accepts, in bytes.
  package static let minimumSize: UInt64 = 4 << 30

  /// Whether FAMFS_STRICT asks for it.
  /// - Throws: a sentence, when it is neither 0 nor 1.
  package static func isAsked() throws(FamfsError) -> Bool {
    switch environment("FAMFS_STRICT") {
    case nil, "0": return false
    case "1": return true
    case let value?: throw .other("FAMFS_STRICT=\(value) is neither 0 nor 1; set it to one of them, or unset it")
    }
  }
}
