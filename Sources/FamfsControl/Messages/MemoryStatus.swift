import ControlChannel
import Famfs
import Memory
import Platform

/// How a mount's memory is.
public struct MemoryStatus: Equatable, Sendable {
  /// Who keeps what hosts have cached of contents up to date.
  public var coherence: Coherence
  /// Why nothing may be added any more; nil while something may.
  public var disabled: String?
  /// What could not be used since it was mounted.
  public var ranges: [BadRange]
  /// How many accesses met others than those.
  public var unlisted: UInt64
}

extension MessageWriter {
  package mutating func put(_ status: MemoryStatus) {
    put(status.coherence.rawValue)
    // All ranges must fit one message beside it.
    put(String(decoding: (status.disabled ?? "").utf8.prefix(1000), as: UTF8.self))
    put(status.unlisted)
    put(UInt64(status.ranges.count))
    for range in status.ranges { put(range) }
  }

  private mutating func put(_ range: BadRange) {
    let error = range.error
    for number in [
      range.device, error.id, error.offset, error.length, error.fault.rawValue, error.count, error.first,
      range.fileCount,
    ] { put(number) }
    put(range.contents)
    put(UInt64(range.files.count))
    for file in range.files { put(file) }
  }

  package mutating func put(_ extent: Extent) {
    for number in [extent.device, extent.offset, extent.length] { put(number) }
  }
}

extension MessageReader {
  package mutating func memoryStatus() throws(Errno) -> MemoryStatus {
    guard let coherence = Coherence(rawValue: try text()) else { throw .protocolError }
    let disabled = try text()
    var status = MemoryStatus(coherence, disabled: disabled.isEmpty ? nil : disabled, unlisted: try number())
    let count = try number()
    guard count <= MemoryErrors.limit else { throw .protocolError }
    for _ in 0..<count { status.ranges.append(try badRange()) }
    return status
  }

  private mutating func badRange() throws(Errno) -> BadRange {
    let (device, id, offset, length) = (try number(), try number(), try number(), try number())
    guard let fault = MemoryFault(rawValue: try number()) else { throw .protocolError }
    let error = MemoryError(
      id: id, offset: offset, length: length, fault: fault, count: try number(), first: try number())
    let fileCount = try number()
    var range = BadRange(device: device, error: error, contents: try text(), fileCount: fileCount)
    let names = try number()
    guard names <= MemoryErrors.limit else { throw .protocolError }
    for _ in 0..<names { range.files.append(try text()) }
    return range
  }

  package mutating func extent() throws(Errno) -> Extent {
    Extent(device: try number(), offset: try number(), length: try number())
  }
}

extension MemoryStatus {
  /// One without ranges.
  package init(_ coherence: Coherence, disabled: String?, unlisted: UInt64) {
    (self.coherence, self.disabled, self.unlisted, ranges) = (coherence, disabled, unlisted, [])
  }
}
