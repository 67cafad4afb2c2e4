import Glibc
import Platform

/// The word that every message begins with: of which version its sender is. A daemon lives on when the program is
/// exchanged, so a command may meet one of another version.
package enum ControlVersion {
  /// One more with each change of any message.
  private static let number: UInt64 = 2
  /// Tells the word from what the first version without it began with.
  private static let magic: UInt64 = 0x6c74_6374_6677_0000
  /// What messages of this program begin with.
  package static let word = magic | number

  /// What is thrown where a message is of another version.
  package static let mismatch = Errno(rawValue: EPROTONOSUPPORT)

  /// What a daemon answers to a message of another version. A command that knows the word finds the difference by itself.
  /// Before there was such a word, messages began with their kind, so a command without it gets `refusal` without it.
  package static func answer(_ refusal: [UInt8], to message: UnsafeRawBufferPointer) -> [UInt8] {
    var reader = MessageReader(message)
    guard let theirs = try? reader.number(), theirs & ~0xffff == magic else { return Array(refusal.dropFirst(8)) }
    return refusal
  }
}

extension MessageReader {
  /// Reads the first word.
  /// - Throws: `ControlVersion.mismatch` for another version's.
  package mutating func checkVersion() throws(Errno) {
    if try number() != ControlVersion.word { throw ControlVersion.mismatch }
  }
}
