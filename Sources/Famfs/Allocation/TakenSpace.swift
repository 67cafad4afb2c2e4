/// Space that was taken in one term of the master for a file that the log does not have, with that term: in another one
/// it may be another host's file, so it can be given back in that term alone.
public struct TakenSpace: Sendable {
  /// The master's term in which all of it was taken.
  public let term: UInt64
  /// In the order of the file's bytes.
  public private(set) var extents: [Extent]

  /// No space yet.
  public init(in term: UInt64) { self.init([], in: term) }

  init(_ extents: [Extent], in term: UInt64) {
    self.term = term
    self.extents = extents
  }

  /// Bytes that fit.
  public var capacity: UInt64 { extents.reduce(0) { $0 + $1.length } }

  /// The same and more behind, with what touches made one.
  public func joined(with more: TakenSpace) -> TakenSpace {
    precondition(term == more.term, "space of two terms does not make one file")
    var all = extents
    for extent in more.extents {
      if let last = all.last, last.device == extent.device, last.offset + last.length == extent.offset {
        all[all.count - 1].length += extent.length
      } else {
        all.append(extent)
      }
    }
    return TakenSpace(all, in: term)
  }

  /// The first `bytes` of it, which is a multiple of the allocation unit, and the rest.
  public func split(at bytes: UInt64) -> (kept: TakenSpace, rest: TakenSpace) {
    var (kept, rest): ([Extent], [Extent]) = ([], [])
    var missing = bytes
    for extent in extents {
      let length = min(missing, extent.length)
      if length > 0 { kept.append(Extent(device: extent.device, offset: extent.offset, length: length)) }
      if length < extent.length {
        rest.append(
          Extent(device: extent.device, offset: extent.offset + length, length: extent.length - length))
      }
      missing -= length
    }
    return (TakenSpace(kept, in: term), TakenSpace(rest, in: term))
  }
}
