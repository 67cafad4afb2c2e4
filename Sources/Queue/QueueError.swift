import Platform

/// Why a queue cannot be made or used: a sentence for people.
public enum QueueError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Such a queue cannot be made, for this reason.
  case shape(String)
  /// The file at this path is none of a queue's, or a damaged one, for this reason.
  case header(String, String)
  /// The index in the file at this path is not below the number of buckets.
  case index(String, found: UInt64, buckets: UInt64)
  /// The bucket's checksum does not fit its contents, and went on doing so: path, bucket.
  case checksum(String, bucket: UInt64)
  /// The bucket holds the message of this number where another one is due: path, bucket.
  case sequence(String, bucket: UInt64, found: UInt64, expected: UInt64)
  /// The file's memory cannot be read or written.
  case memory(String, Errno)

  /// The sentence.
  public var description: String {
    switch self {
    case .shape(let reason): reason
    case .header(let path, let reason): "\(path) \(reason)"
    case .index(let path, let found, let buckets):
      "\(path): its index is \(found), and the queue has \(buckets) buckets; it is damaged, make a new queue"
    case .checksum(let path, let bucket):
      "\(path): the checksum of the message in bucket \(bucket) is wrong; empty the queue with pcq --drain"
    case .sequence(let path, let bucket, let found, let expected):
      "\(path): bucket \(bucket) holds message \(found), and \(expected) is the next; empty the queue with pcq --drain"
    case .memory(let path, let error): "\(path): its memory cannot be used: \(error)"
    }
  }

  /// Whether one message is bad, and those behind it may be good.
  public var isAboutOneMessage: Bool {
    switch self {
    case .checksum, .sequence: true
    case .shape, .header, .index, .memory: false
    }
  }
}
