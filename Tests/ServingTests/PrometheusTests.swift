import Counts
import Testing

@testable import Serving

@Suite("Prometheus' text format") struct PrometheusTests {
  @Test("values of labels are escaped scalar by scalar, helps have quotes as they are")
  func escapes() {
    #expect(PrometheusText.escape("a\\b\"c\nd\r\ne") == "a\\\\b\\\"c\\nd?\\ne")
    #expect(PrometheusText.escape("\u{1b}]0;x\u{7}host\u{9b}31m\u{202e}") == "?]0;x?host?31m?")
    #expect(PrometheusText.escape("a\"\\", quotes: false) == "a\"\\\\")
    var out = PrometheusText()
    out.begin("n", "gauge", "A \"help\"\n.")
    out.sample("n", [("a", "x\"y"), ("b", "")], "1")
    #expect(out.text == "# HELP n A \"help\"\\n.\n# TYPE n gauge\nn{a=\"x\\\"y\",b=\"\"} 1\n")
  }

  @Test("nanoseconds are exact seconds")
  func seconds() {
    #expect(PrometheusText.seconds(0) == "0" && PrometheusText.seconds(1) == "0.000000001")
    #expect(PrometheusText.seconds(1_500_000_000) == "1.5" && PrometheusText.seconds(8_388_608_000) == "8.388608")
    #expect(PrometheusText.seconds(.max) == "18446744073.709551615")
  }

  @Test("buckets of a histogram add up, and the last one has all")
  func histogram() throws {
    var counts = [UInt64](repeating: 0, count: LatencyHistogram.boundCount + 1)
    (counts[0], counts[2], counts[LatencyHistogram.boundCount]) = (1, 2, 4)
    var out = PrometheusText()
    out.histogram("h", ("opcode", "read"), try #require(LatencyHistogram(counts: counts, sum: 10)))
    let lines = out.text.split(separator: "\n")
    #expect(lines.count == 27 && lines[1] == "h_bucket{opcode=\"read\",le=\"0.000002\"} 1")
    #expect(lines[2].hasSuffix(" 3") && lines[24] == "h_bucket{opcode=\"read\",le=\"+Inf\"} 7")
    #expect(lines[25] == "h_sum{opcode=\"read\"} 0.00000001" && lines[26] == "h_count{opcode=\"read\"} 7")
  }
}
