/// A message that waits at the head of a queue.
public struct QueueMessage {
  /// Valid until the consumer is asked again.
  public let payload: UnsafeRawBufferPointer
  /// Its number: one more than that of the message before it.
  public let sequence: UInt64
}

/// The end of a queue that messages come out of. One per queue; not to be shared by threads.
public final class QueueConsumer {
  private let queue: SharedQueue
  private let bucket: Bucket
  private var index: UInt64
  private var expected: UInt64
  /// The producer's index when last looked at: it is there or further.
  private var producer: UInt64
  /// The number in the bucket at `index`, where it is known.
  private var found: UInt64?

  /// How often a message that looks bad is invalidated and read again.
  private static let attempts = 16

  /// Goes on where the last consumer ended.
  public init(_ queue: SharedQueue) throws(QueueError) {
    self.queue = queue
    bucket = try queue.makeBucket()
    index = try queue.consumerIndex()
    producer = try queue.producerIndex()
    expected = try queue.sequence(before: index, recorded: queue.consumerSequence(), using: bucket)
  }

  /// The message at the head of the queue; it stays there until `advance`.
  /// - Returns: nil when the queue is empty.
  /// - Throws: when the message is bad, and stays so when read again; `advance` then skips it.
  public func peek() throws(QueueError) -> QueueMessage? {
    if index == producer {
      producer = try queue.producerIndex()
      if index == producer { return nil }
    }
    for _ in 0..<QueueConsumer.attempts {
      try queue.producerFile.read(at: queue.shape.offset(of: index), into: bucket.bytes)
      // A whole message with an old number is a stale copy, just as one with a bad checksum may be.
      if bucket.isWhole, bucket.sequence == expected {
        found = expected
        return QueueMessage(payload: UnsafeRawBufferPointer(bucket.payload), sequence: expected)
      }
    }
    guard bucket.isWhole else {
      found = nil
      throw .checksum(queue.producerFile.path, bucket: index)
    }
    found = bucket.sequence
    throw .sequence(queue.producerFile.path, bucket: index, found: bucket.sequence, expected: expected)
  }

  /// Takes the message that `peek` gave, or refused, out of the queue. Only after such a `peek`.
  public func advance() throws(QueueError) {
    let next = queue.shape.next(index)
    let sequence = (found ?? expected) &+ 1
    // The message has been read: only now may the producer fill its bucket again.
    try queue.consumerFile.publish(
      QueueWord(offset: ConsumerFile.nextSequenceAt, value: sequence),
      QueueWord(offset: ConsumerFile.indexAt, value: next))
    index = next
    expected = sequence
  }
}
