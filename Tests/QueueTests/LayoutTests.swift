import Testing

@testable import Queue

/// The bytes of the two files, built and looked at by hand at the offsets of the facts page.
struct LayoutTests {
  @Test("a new queue has these words at these offsets, and zeros elsewhere")
  func newQueue() throws {
    let queue = try TestQueue(buckets: 8, bucketSize: 4096)
    #expect(queue.producer.size == 2 << 20 + 8 * 4096)
    #expect(queue.consumer.size == 2 << 20)
    var expected: [Int: UInt64] = [0: 0xBEEBEE3, 8: 8, 16: 4096, 24: 0x200000, 1072: 2 << 20 + 8 * 4096]
    for place in stride(from: 0, to: Int(queue.producer.size), by: 8) where queue.producer.get(place) != 0 {
      #expect(expected.removeValue(forKey: place) == queue.producer.get(place), "at \(place)")
    }
    #expect(expected == [:])
    expected = [0: 0xBEEBEE4, 1_048_600: 2 << 20]
    for place in stride(from: 0, to: Int(queue.consumer.size), by: 8) where queue.consumer.get(place) != 0 {
      #expect(expected.removeValue(forKey: place) == queue.consumer.get(place), "at \(place)")
    }
    #expect(expected == [:])
  }

  @Test("messages sent are payload, number and checksum in their buckets, and move index and next number")
  func sent() throws {
    let queue = try TestQueue(buckets: 4, bucketSize: 64)
    let producer = try QueueProducer(queue.open())
    for byte in [7, 9] as [UInt8] { #expect(try producer.send(byte)) }
    for (place, byte) in [7, 9].enumerated() {
      let bucket = 2 << 20 + 64 * place
      let sealed = [UInt8](repeating: UInt8(byte), count: 48) + [UInt8(place), 0, 0, 0, 0, 0, 0, 0]
      #expect(Array(queue.producer.bytes[bucket..<bucket + 56]) == sealed)
      #expect(queue.producer.get(bucket + 56) == crc(sealed))
    }
    #expect(queue.producer.get(32) == 2)
    #expect(queue.producer.get(1064) == 2)
  }

  @Test("messages written by hand are received, and move the consumer's index and next number")
  func received() throws {
    let queue = try TestQueue(buckets: 4, bucketSize: 40)
    queue.consumer.put(4, UInt32.max)  // the magic has 32 bits
    for place in 0..<2 {
      let bucket = 2 << 20 + 40 * place
      for byte in 0..<24 { queue.producer.bytes[bucket + byte] = UInt8(100 + place) }
      queue.producer.put(bucket + 24, UInt64(place))
      queue.producer.put(bucket + 32, crc(queue.producer.bytes[bucket..<bucket + 32]))
    }
    queue.producer.put(32, UInt64(2))
    let consumer = try QueueConsumer(queue.open())
    let first = try #require(try consumer.peek())
    #expect(first.sequence == 0)
    #expect(first.payload.elementsEqual([UInt8](repeating: 100, count: 24)))
    try consumer.advance()
    #expect(try consumer.receive() == 101)
    #expect(try consumer.receive() == nil)
    #expect(queue.consumer.get(8) == 2)
    #expect(queue.consumer.get(1_048_592) == 2)
  }

  @Test(
    "a queue may have its buckets elsewhere, and buckets of any size",
    arguments: [17, 23, 100, 4096, 70_000] as [UInt64])
  func oddSizes(bucketSize: UInt64) throws {
    let count: UInt64 = 3
    let producer = RamFile(size: 5000 + count * bucketSize)
    for (offset, value) in [0: 0xBEEBEE3, 8: count, 16: bucketSize, 24: 5000, 1072: producer.size] as [Int: UInt64] {
      producer.put(offset, value)
    }
    let shared = try SharedQueue(producer: producer, consumer: TestQueue().consumer)
    let (sender, receiver) = (try QueueProducer(shared), try QueueConsumer(shared))
    for byte in 0..<20 as Range<UInt8> {
      #expect(try sender.send(byte))
      #expect(try receiver.receive() == byte)
    }
  }

  // From the facts page: what creat --randomize fills a file with.
  @Test(
    "a payload is what its seed and number give, to the last byte",
    arguments: [
      (1, 0, "284991ee66b6fb343a87ca18de441778e8a866"), (1, 41, "985f52e27afb0c3df88c822b402249e5d5781c"),
      (99, 0, "87d5e4d3dee4fe7e754d93eeb1d85d0c461bb0"),
    ] as [(UInt64, UInt64, String)])
  func payload(seed: UInt64, sequence: UInt64, digits: String) {
    var bytes = [UInt8](repeating: 0, count: 19)
    bytes.withUnsafeMutableBytes { Payload.fill($0, seed: seed, sequence: sequence) }
    #expect(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == digits)
    for count in 0...19 {
      #expect(bytes[..<count].withUnsafeBytes { Payload.isRight($0, seed: seed, sequence: sequence) })
      if count == 0 { continue }
      var wrong = Array(bytes[..<count])
      wrong[count - 1] ^= 0x80
      #expect(!wrong.withUnsafeBytes { Payload.isRight($0, seed: seed, sequence: sequence) })
    }
  }
}

/// Files that hold anything.
struct HostileTests {
  private func isRefused(_ queue: TestQueue, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(throws: QueueError.self, sourceLocation: sourceLocation) { try queue.open() }
  }

  @Test(
    "a producer's file with a word that cannot be is refused",
    arguments: [
      (0, 0), (0, 0xBEEBEE4), (0, 0x1_0BEE_BEE3), (8, 0), (8, 1), (8, 5), (8, .max), (8, 1 << 60), (16, 0), (16, 16),
      (16, 65), (16, 1 << 30), (16, 1 << 58), (16, .max), (24, 0), (24, 1079), (24, 2 << 20 + 1), (24, .max),
      (1072, 0), (1072, 2 << 20 + 255), (1072, 2 << 20 + 257), (1072, .max),
    ] as [(Int, UInt64)])
  func producerWords(offset: Int, value: UInt64) throws {
    let queue = try TestQueue()
    queue.producer.put(offset, value)
    isRefused(queue)
  }

  @Test(
    "a consumer's file with a word that cannot be is refused",
    arguments: [(0, 0), (0, 0xBEEBEE3), (1_048_600, 0), (1_048_600, 2 << 20 + 1), (1_048_600, .max)] as [(Int, UInt64)])
  func consumerWords(offset: Int, value: UInt64) throws {
    let queue = try TestQueue()
    queue.consumer.put(offset, value)
    isRefused(queue)
  }

  @Test("files that are too short are refused", arguments: [0, 1, 8, 1079, 1080, 1 << 20, 2 << 20] as [UInt64])
  func short(size: UInt64) throws {
    let queue = try TestQueue()
    let shorter = RamFile(size: size)
    for place in 0..<Int(size) { shorter.bytes[place] = queue.producer.bytes[place] }
    #expect(throws: QueueError.self) { try SharedQueue(producer: shorter, consumer: queue.consumer) }
    if size >= 2 << 20 { return }
    for place in 0..<Int(size) { shorter.bytes[place] = queue.consumer.bytes[place] }
    #expect(throws: QueueError.self) { try SharedQueue(producer: queue.producer, consumer: shorter) }
  }

  @Test(
    "an index beyond the buckets is an error for both ends, when opened and later",
    arguments: [4, 5, 1 << 32, .max] as [UInt64])
  func indexes(index: UInt64) throws {
    let queue = try TestQueue()
    let shared = try queue.open()
    let (producer, consumer) = (try QueueProducer(shared), try QueueConsumer(shared))
    queue.producer.put(32, index)
    #expect(throws: QueueError.index("q", found: index, buckets: 4)) { try consumer.peek() }
    #expect(throws: QueueError.self) { try QueueProducer(shared) }
    #expect(throws: QueueError.self) { try QueueConsumer(shared) }
    queue.producer.put(32, UInt64(0))
    queue.consumer.put(8, index)
    #expect(throws: QueueError.self) { try QueueProducer(shared) }
    #expect(throws: QueueError.self) { try QueueConsumer(shared) }
    queue.consumer.put(8, UInt64(0))
    for byte in 0..<3 as Range<UInt8> { #expect(try producer.send(byte)) }
    queue.consumer.put(8, index)
    #expect(throws: QueueError.index("q.consumer", found: index, buckets: 4)) { try producer.send(9) }
  }

  @Test("numbers at their end go on from zero")
  func lastNumber() throws {
    let queue = try TestQueue()
    queue.producer.put(1064, UInt64.max)
    queue.consumer.put(1_048_592, UInt64.max)
    let shared = try queue.open()
    let (producer, consumer) = (try QueueProducer(shared), try QueueConsumer(shared))
    for byte in 0..<3 as Range<UInt8> { #expect(try producer.send(byte)) }
    for byte in 0..<3 as Range<UInt8> { #expect(try consumer.receive() == byte) }
    #expect(queue.consumer.get(1_048_592) == 2)
  }

  @Test(
    "queues that cannot be are not made",
    arguments: [(0, 64), (1, 64), (4, 0), (4, 16), (4, 1 << 30 + 1), (1 << 62, 64), (.max, .max), (1 << 33, 1 << 30)]
      as [(UInt64, UInt64)])
  func impossible(buckets: UInt64, bucketSize: UInt64) {
    #expect(throws: QueueError.self) { try QueueShape(bucketCount: buckets, bucketSize: bucketSize) }
  }
}
