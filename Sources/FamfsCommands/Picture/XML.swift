import Platform

/// Text as it stands in XML 1.0, between tags and in attributes.
enum XML {
  /// Markup becomes references; what no XML may hold, not even as a reference, becomes U+FFFD, and so does
  /// what a terminal would obey.
  static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case _ where !isPrintable(scalar) || (0xfffe...0xffff).contains(scalar.value):
        escaped.unicodeScalars.append("\u{fffd}")
      default: escaped += scalar.fileNameEscape ?? String(scalar)
      }
    }
    return escaped
  }
}
