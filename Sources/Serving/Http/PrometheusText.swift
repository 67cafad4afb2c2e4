import Counts
import Platform

/// Prometheus' text format, version 0.0.4: families of samples, each with its help and type before it.
package struct PrometheusText {
  package static let type = "text/plain; version=0.0.4; charset=utf-8"

  package private(set) var text = ""

  package init() {}

  /// A label's name and value.
  package typealias Label = (name: String, value: String)

  /// Begins a family. A counter's name ends with `_total`, or the unit before it.
  package mutating func begin(_ name: String, _ type: String, _ help: String) {
    text += "# HELP \(name) \(PrometheusText.escape(help, quotes: false))\n# TYPE \(name) \(type)\n"
  }

  package mutating func sample(_ name: String, _ labels: [Label] = [], _ value: String) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0.name)=\"\(PrometheusText.escape($0.value))\"" }.joined(separator: ",") + "}"
    }
    text += " \(value)\n"
  }

  /// A family of one sample.
  package mutating func put(_ name: String, _ type: String, _ help: String, _ value: UInt64) {
    begin(name, type, help)
    sample(name, [], "\(value)")
  }

  /// One member of a family of histograms, in seconds.
  package mutating func histogram(_ name: String, _ label: Label, _ histogram: LatencyHistogram) {
    var count: UInt64 = 0
    for (bucket, number) in histogram.counts.enumerated() {
      count &+= number
      let bound = LatencyHistogram.bound(of: bucket).map(PrometheusText.seconds) ?? "+Inf"
      sample(name + "_bucket", [label, ("le", bound)], "\(count)")
    }
    sample(name + "_sum", [label], PrometheusText.seconds(histogram.sum))
    sample(name + "_count", [label], "\(count)")
  }

  /// Nanoseconds as seconds, exactly.
  package static func seconds(_ nanoseconds: UInt64) -> String {
    let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    if rest == 0 { return "\(whole)" }
    var digits = String(repeating: "0", count: 9 - "\(rest)".count) + "\(rest)"
    while digits.hasSuffix("0") { digits.removeLast() }
    return "\(whole).\(digits)"
  }

  /// By scalars, because Swift takes some pairs of them for one character. What steers a terminal becomes `?`: people look
  /// at metrics with curl, and names come from other hosts.
  package static func escape(_ value: String, quotes: Bool = true) -> String {
    var text = String.UnicodeScalarView()
    for scalar in printable(value).unicodeScalars {
      switch scalar {
      case "\\": text += "\\\\".unicodeScalars
      case "\n": text += "\\n".unicodeScalars
      case "\"" where quotes: text += "\\\"".unicodeScalars
      default: text.append(scalar)
      }
    }
    return String(text)
  }
}
