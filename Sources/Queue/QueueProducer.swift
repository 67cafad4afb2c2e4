/// The end of a queue that messages go in at. One per queue; not to be shared by threads.
public final class QueueProducer {
  private let queue: SharedQueue
  private let bucket: Bucket
  private var index: UInt64
  private var sequence: UInt64
  /// The consumer's index when last looked at: it is there or further.
  private var consumer: UInt64

  /// Goes on where the last producer ended.
  public init(_ queue: SharedQueue) throws(QueueError) {
    self.queue = queue
    bucket = try queue.makeBucket()
    index = try queue.producerIndex()
    consumer = try queue.consumerIndex()
    // This also drops the cache line in which the last message ends and the next may begin: it is written whole, and
    // another host may have been the producer since this one last saw it. No other neighbour of a free bucket counts.
    sequence = try queue.sequence(before: index, recorded: queue.producerSequence(), using: bucket)
  }

  /// Sends one message, if there is room.
  /// - Parameter fill: stores the payload; it gets the message's number.
  /// - Returns: false when the queue is full; then `fill` was not called.
  public func send(_ fill: (UnsafeMutableRawBufferPointer, _ sequence: UInt64) -> Void) throws(QueueError) -> Bool {
    let next = queue.shape.next(index)
    if next == consumer {
      consumer = try queue.consumerIndex()
      if next == consumer { return false }
    }
    fill(bucket.payload, sequence)
    bucket.seal(sequence: sequence)
    // In memory, whole, before the index says that it is there.
    try queue.producerFile.write(at: queue.shape.offset(of: index), from: UnsafeRawBufferPointer(bucket.bytes))
    try queue.producerFile.publish(
      QueueWord(offset: ProducerFile.nextSequenceAt, value: sequence &+ 1),
      QueueWord(offset: ProducerFile.indexAt, value: next))
    index = next
    sequence &+= 1
    return true
  }
}
