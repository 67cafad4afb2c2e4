/// Who sees to it that hosts see each other's writes to files' contents. Of metadata Weft always does.
public enum Coherence: String, Sendable {
  /// The hardware: what one host has stored the others load.
  case coherent
  /// Weft: each write is in the memory before it is answered, and each read forgets what this CPU has cached.
  case noncoherent
}
