import Fuse
import Platform

/// Prometheus' text format, version 0.0.4: families of samples, each with its help and type before it.
struct PrometheusText {
  static let type = "text/plain; version=0.0.4; charset=utf-8"

  private(set) var text = ""

  /// A label's name and value.
  typealias Label = (name: String, value: String)

  /// Begins a family. A counter's name ends with `_total`, or the unit before it.
  mutating func begin(_ name: String, _ type: String, _ help: String) {
    text += "# HELP \(name) \(PrometheusText.escape(help, quotes: false))\n# TYPE \(name) \(type)\n"
  }

  mutating func sample(_ name: String, _ labels: [Label] = [], _ value: String) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0.name)=\"\(PrometheusText.escape($0.value))\"" }.joined(separator: ",") + "}"
    }
    text += " \(value)\n"
  }

  /// A family of one sample.
  mutating func put(_ name: String, _ type: String, _ help: String, _ value: UInt64) {
    begin(name, type, help)
    sample(name, [], "\(value)")
  }

  /// One member of a family of histograms, in seconds.
  mutating func histogram(_ name: String, _ label: Label, _ histogram: LatencyHistogram) {
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
  static func seconds(_ nanoseconds: UInt64) -> String {
    let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
    if rest == 0 { return "\(whole)" }
    var digits = String(repeating: "0", count: 9 - "\(rest)".count) + "\(rest)"
    while digits.hasSuffix("0") { digits.removeLast() }
    return "\(whole).\(digits)"
  }

  /// By scalars, because Swift takes some pairs of them for one character. What steers a terminal becomes `?`: people look
  /// at metrics with curl, and names come from other hosts.
  static func escape(_ value: String, quotes: Bool = true) -> String {
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
