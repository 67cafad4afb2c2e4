import Platform

/// A producer/consumer queue in two files that two hosts share: the producer writes one, the consumer the other, and
/// each only reads what is the other's. So neither ever waits for a lock, and nothing is written from two sides.
///
/// The buckets are a ring. The producer fills the one at its index, the consumer empties the one at its own; the queue
/// is empty when they are equal, and full when the producer's is one behind.
public struct SharedQueue: Sendable {
  let producerFile: QueueFile
  let consumerFile: QueueFile
  /// What was fixed when the queue was made.
  public let shape: QueueShape

  /// Opens a queue.
  /// - Throws: a sentence, when one of the files is none of a queue's, or damaged.
  public init(producer: QueueFile, consumer: QueueFile) throws(QueueError) {
    producerFile = producer
    consumerFile = consumer
    shape = try QueueShape(of: producer)
    try QueueShape.checkConsumer(consumer)
  }

  /// The bucket that the producer fills next, as it is in memory now.
  public func producerIndex() throws(QueueError) -> UInt64 {
    try index(in: producerFile, at: ProducerFile.indexAt)
  }

  /// The bucket that the consumer empties next, as it is in memory now.
  public func consumerIndex() throws(QueueError) -> UInt64 {
    try index(in: consumerFile, at: ConsumerFile.indexAt)
  }

  private func index(in file: QueueFile, at offset: UInt64) throws(QueueError) -> UInt64 {
    let index = try file.look(at: offset)
    guard index < shape.bucketCount else { throw .index(file.path, found: index, buckets: shape.bucketCount) }
    return index
  }

  /// The number that the producer gives its next message.
  public func producerSequence() throws(QueueError) -> UInt64 {
    try producerFile.look(at: ProducerFile.nextSequenceAt)
  }

  /// The number of the message that the consumer expects next.
  public func consumerSequence() throws(QueueError) -> UInt64 {
    try consumerFile.look(at: ConsumerFile.nextSequenceAt)
  }

  /// The number that comes behind the message in the bucket before `index`, or `recorded` when none is there.
  ///
  /// Index and number are two words, and whoever ended between storing them left one old. The last message itself
  /// cannot be wrong about its number, and the bucket before either index is never overwritten: for the producer's it
  /// holds the newest message, and for the consumer's it is the one that stays free.
  func sequence(before index: UInt64, recorded: UInt64, using bucket: Bucket) throws(QueueError) -> UInt64 {
    try producerFile.read(at: shape.offset(of: shape.previous(index)), into: bucket.bytes)
    return bucket.isWhole ? bucket.sequence &+ 1 : recorded
  }

  func makeBucket() throws(QueueError) -> Bucket {
    do { return try Bucket(shape) } catch { throw .memory(producerFile.path, error) }
  }
}
