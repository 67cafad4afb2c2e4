import CommandKit
import Famfs
import FamfsControl
import Platform

/// How new files are to be striped: what the command line says, and where it says nothing, the mount's
/// `.meta/.alloc.cfg`. Without either they are contiguous.
struct StripingChoice: Sendable {
  private var strips: UInt64?
  private var buckets: UInt64?
  private var chunkSize: UInt64?

  /// Where a mount keeps its defaults, below the mount point.
  static let fileName = ".meta/.alloc.cfg"

  /// Bytes of a chunk where neither the command line nor the mount says it, as in the public famfs.
  static let usualChunkSize: UInt64 = 2 << 20

  /// What --nstrips, --nbuckets and --chunksize say.
  init(_ arguments: Arguments) throws(UsageError) {
    strips = try arguments.number("nstrips", in: 1...16).map(UInt64.init)
    buckets = try arguments.number("nbuckets", in: 1...64).map(UInt64.init)
    chunkSize = try arguments.size("chunksize")
    if let strips, let buckets {
      _ = try StripingChoice.striping(strips, buckets, chunkSize ?? StripingChoice.usualChunkSize)
    }
  }

  /// What is to be done on a mount.
  /// - Throws: a sentence, when something is missing, or wrong in the mount's defaults.
  func striping(on mount: Mount) throws -> Striping? {
    if strips == 1 { return nil }
    var all = self
    if strips == nil || buckets == nil || chunkSize == nil {
      let defaults = try StripingChoice.defaults(of: mount)
      all.strips = strips ?? defaults?.strips
      all.buckets = buckets ?? defaults?.buckets
      all.chunkSize = chunkSize ?? defaults?.chunkSize
    }
    if all.strips == nil && all.buckets == nil && all.chunkSize == nil { return nil }
    guard let strips = all.strips, let buckets = all.buckets else {
      throw UsageError("striping takes --nstrips and --nbuckets together, and --chunksize unless 2m is meant")
    }
    let chunkSize = all.chunkSize ?? StripingChoice.usualChunkSize
    return strips == 1 ? nil : try StripingChoice.striping(strips, buckets, chunkSize)  // 1 may be the default, too
  }

  private static func striping(_ strips: UInt64, _ buckets: UInt64, _ chunkSize: UInt64) throws(UsageError) -> Striping
  {
    guard let striping = Striping(strips: strips, buckets: buckets, chunkSize: chunkSize) else {
      throw UsageError(
        "--nstrips must not exceed --nbuckets, and --chunksize must be a power of two of at least 4096")
    }
    return striping
  }

  // MARK: .alloc.cfg

  private static func defaults(of mount: Mount) throws -> Striping? {
    // Below a bind mount of a directory there is no .meta.
    let whole = mount.root == "/" ? mount : try Mount.all().last { $0.device == mount.device && $0.root == "/" }
    guard let whole else { return nil }
    let path = whole.mountPoint + "/" + fileName
    let bytes: [UInt8]
    do throws(Errno) { bytes = try readSmallFile(path) } catch {
      // Who may not enter .meta has no defaults.
      if error == .noEntry || error == .accessDenied { return nil }
      if case .gone = NoDaemon(error, nil) { throw NoDaemon.gone.sentence(of: whole.mountPoint) }
      throw FamfsError.other(
        "\(path) cannot be read: \(error); give --nstrips, --nbuckets and --chunksize, or remove it")
    }
    return try parse(bytes, path)
  }

  /// Reads the contents of `.alloc.cfg`: the mapping `interleaved_alloc` with `nbuckets`, `nstrips` and `chunk_size`.
  /// - Returns: nil when there is nothing in it.
  /// - Throws: a sentence that names file, line and key.
  static func parse(_ bytes: [UInt8], _ path: String) throws(FamfsError) -> Striping? {
    let advice = "write nbuckets, nstrips and chunk_size below interleaved_alloc, or remove the file"
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .other("\(path) is no text; \(advice)") }
    var values: [String: UInt64] = [:]
    var isInside = false
    for (place, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let words = String(line.prefix { $0 != "#" }).trimmingBlanks()
      if words.isEmpty || words == "---" || words == "..." { continue }
      func bad(_ sentence: String) -> FamfsError { .other("\(path), line \(place + 1): \(sentence); \(advice)") }
      let parts = words.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw bad("'\(words)' is no key with a value") }
      let (key, value) = (String(parts[0]).trimmingBlanks(), String(parts[1]).trimmingBlanks())
      if line.first != " " {
        guard key == "interleaved_alloc", value.isEmpty, !isInside else { throw bad("'\(key)' is not expected here") }
        isInside = true
        continue
      }
      guard isInside else { throw bad("'\(key)' stands outside interleaved_alloc") }
      let limits: [String: ClosedRange<UInt64>] = ["nbuckets": 1...64, "nstrips": 1...16, "chunk_size": 4096...1 << 62]
      guard let limit = limits[key] else { throw bad("there is no key '\(key)'") }
      guard values[key] == nil else { throw bad("'\(key)' is there twice") }
      guard let number = parseSize(value), limit.contains(number) else {
        throw bad("'\(value)' is no value for '\(key)', which is from \(limit.lowerBound) to \(limit.upperBound)")
      }
      if key == "chunk_size" && number & (number - 1) != 0 { throw bad("'chunk_size' is \(value), no power of two") }
      values[key] = number
    }
    if !isInside { return nil }
    guard let buckets = values["nbuckets"], let strips = values["nstrips"], let chunkSize = values["chunk_size"] else {
      let missing = ["nbuckets", "nstrips", "chunk_size"].first { values[$0] == nil } ?? ""
      throw .other("\(path): the key '\(missing)' is missing; \(advice)")
    }
    guard let striping = Striping(strips: strips, buckets: buckets, chunkSize: chunkSize) else {
      throw .other("\(path): 'nstrips', \(strips), exceeds 'nbuckets', \(buckets); \(advice)")
    }
    return striping
  }
}

extension Arguments {
  /// The options of a `StripingChoice`.
  static let stripingOptions = [
    Option("N", "nstrips", "N", "spread each file over so many strips, 1 to 16 (as .meta/.alloc.cfg says)"),
    Option("B", "nbuckets", "N", "divide the device into so many parts, 1 to 64, one strip in each"),
    Option("C", "chunksize", "SIZE", "bytes in one strip before the next one's turn, a power of two (2m)"),
  ]
}
