import Famfs
import FamfsControl
import Platform

// What famfs status says of a mount's memory.
extension MemoryStatus {
  /// For people: lines.
  var text: String {
    var text = "  coherence:   \(coherence.rawValue)\n"
    if let disabled { text += "  disabled:    \(oneLine(disabled))\n" }
    for range in ranges {
      text += "  bad memory:  device \(range.device), \(oneLine(range.sentence)), met \(range.error.count) times since "
      text += "\(timestamp(range.error.first))\n"
    }
    if unlisted > 0 { text += "  bad memory:  met \(unlisted) times elsewhere, too\n" }
    return text
  }
}
