import Famfs
import FamfsMount
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

  /// For programs.
  var members: [(key: String, value: JSON)] {
    [
      ("coherence", .text(coherence.rawValue)), ("disabled", JSON(disabled)),
      ("memory_errors", .list(ranges.map(\.json))), ("memory_errors_unlisted", .number(unlisted)),
    ]
  }
}

extension BadRange {
  fileprivate var json: JSON {
    [
      "device": .number(device), "offset": .number(error.offset), "bytes": .number(error.length),
      "fault": .text("\(error.fault)"), "count": .number(error.count),
      "first": .text(timestamp(error.first)), "contents": .text(contents),
      "files": .list(files.map { .text($0) }), "file_count": .number(fileCount),
    ]
  }
}
