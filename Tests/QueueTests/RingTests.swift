import Glibc
import Memory
import Platform
import Synchronization
import Testing

@testable import Queue

/// What goes in comes out: once, in order, whole, and seen by a host whose caches know nothing of the other's.
struct RingTests {
  @Test("an empty queue gives nothing, and a full one takes nothing: it holds one message less than buckets")
  func fullAndEmpty() throws {
    let queue = try TestQueue(buckets: 4)
    let shared = try queue.open()
    let (producer, consumer) = (try QueueProducer(shared), try QueueConsumer(shared))
    #expect(try consumer.peek() == nil)
    for byte in 0..<3 as Range<UInt8> { #expect(try producer.send(byte)) }
    #expect(try !producer.send(99))
    let waiting = shared.shape.waiting(producer: try shared.producerIndex(), consumer: try shared.consumerIndex())
    #expect(waiting == 3)
    #expect(try consumer.receive() == 0)
    #expect(try producer.send(3))
    #expect(try !producer.send(99))
    for byte in 1...3 as ClosedRange<UInt8> { #expect(try consumer.receive() == byte) }
    #expect(try consumer.peek() == nil)
  }

  @Test("messages go around the ring in order", arguments: [2, 3, 7] as [UInt64])
  func wraps(buckets: UInt64) throws {
    let queue = try TestQueue(buckets: buckets)
    let shared = try queue.open()
    let (producer, consumer) = (try QueueProducer(shared), try QueueConsumer(shared))
    var (next, due) = (0, 0)
    for step in 0..<200 {
      for _ in 0...step % 4 where try producer.send(UInt8(next & 255)) { next += 1 }
      for _ in 0...step % 3 {
        guard let message = try consumer.peek() else { break }
        #expect(message.sequence == UInt64(due) && message.payload.allSatisfy { $0 == UInt8(due & 255) })
        try consumer.advance()
        due += 1
      }
      let waiting = shared.shape.waiting(producer: try shared.producerIndex(), consumer: try shared.consumerIndex())
      #expect(waiting == UInt64(next - due))
    }
    #expect(due > 10 * Int(buckets))
  }

  @Test("the ends go on where they ended, also when one was cut off between its two words", arguments: [0, 1, 2])
  func resumes(cut: Int) throws {
    let queue = try TestQueue(buckets: 4)
    let shared = try queue.open()
    for byte in 0..<10 as Range<UInt8> {
      let sent = queue.producer.get(1064)
      #expect(try QueueProducer(shared).send(byte))
      if cut == 1 { queue.producer.put(1064, sent) }
      let received = queue.consumer.get(1_048_592)
      #expect(try QueueConsumer(shared).receive() == byte)
      if cut == 2 { queue.consumer.put(1_048_592, received) }
    }
  }

  @Test("a message with a bad byte is an error, stays, and can be skipped", arguments: [0, 47, 48, 55, 56, 63])
  func badChecksum(place: Int) throws {
    let queue = try TestQueue(buckets: 4, bucketSize: 64)
    let shared = try queue.open()
    let (producer, consumer) = (try QueueProducer(shared), try QueueConsumer(shared))
    for byte in 0..<3 as Range<UInt8> { #expect(try producer.send(byte)) }
    queue.producer.bytes[2 << 20 + 64 + place] ^= 1
    #expect(try consumer.receive() == 0)
    for _ in 0..<2 {
      #expect(throws: QueueError.checksum("q", bucket: 1)) { try consumer.peek() }
    }
    #expect(queue.consumer.get(8) == 1)
    try consumer.advance()
    #expect(try consumer.receive() == 2)
    #expect(try consumer.peek() == nil)
  }

  @Test("a whole message with another number than is due is an error, and those behind it count on from it")
  func badSequence() throws {
    let queue = try TestQueue(buckets: 8)
    let shared = try queue.open()
    #expect(try QueueProducer(shared).send(1))
    // A producer that lost count: as if another queue's messages were here.
    queue.producer.bytes[2 << 20] ^= 1
    queue.producer.put(1064, UInt64(70))
    let other = try QueueProducer(shared)
    #expect(try other.send(2) && other.send(3))
    let consumer = try QueueConsumer(shared)
    #expect(throws: QueueError.checksum("q", bucket: 0)) { try consumer.peek() }
    try consumer.advance()
    let error = QueueError.sequence("q", bucket: 1, found: 70, expected: 1)
    #expect(throws: error) { try consumer.peek() }
    #expect(error.isAboutOneMessage)
    try consumer.advance()
    #expect(try consumer.receive() == 3)
  }

  @Test("memory that cannot be used is an error at both ends")
  func badMemory() throws {
    let queue = try TestQueue()
    let shared = try queue.open()
    let files = try Scratch(of: queue)
    defer { files.remove() }
    let devices = try files.map(writing: true)
    let mapped = try SharedQueue(producer: devices.producer, consumer: devices.consumer)
    let (producer, consumer) = (try QueueProducer(mapped), try QueueConsumer(mapped))
    #expect(try producer.send(1))
    truncate(files.producer, 4096)
    #expect(throws: QueueError.memory("q", .inputOutput)) { try consumer.peek() }
    #expect(throws: QueueError.memory("q", .inputOutput)) { _ = try producer.send(1) }
    #expect(throws: Never.self) { try QueueConsumer(shared) }
  }

  // MARK: Two hosts

  @Test(
    "two hosts with caches of their own see each other's messages, around the ring",
    arguments: [40, 64, 200] as [UInt64])
  func twoHosts(bucketSize: UInt64) throws {
    let queue = try TestQueue(buckets: 5, bucketSize: bucketSize)
    let (a, b) = (Host(queue), Host(queue))
    let (producer, consumer) = (try QueueProducer(a.open()), try QueueConsumer(b.open()))
    var due: UInt8 = 0
    for byte in 0..<100 as Range<UInt8> {
      #expect(try producer.send(byte))
      if byte % 4 == 3 {
        for _ in 0..<4 {
          #expect(try consumer.receive() == due)
          due += 1
        }
        #expect(try consumer.receive() == nil)
      }
    }
    #expect(due == 100)
  }

  @Test("the producer may change hosts and come back, though buckets share cache lines")
  func movingProducer() throws {
    let queue = try TestQueue(buckets: 6, bucketSize: 40)
    let (a, b, c) = (Host(queue), Host(queue), Host(queue))
    let consumer = try QueueConsumer(c.open())
    for round in 0..<12 as Range<UInt8> {
      for (place, host) in [a, b, a].enumerated() {
        #expect(try QueueProducer(host.open()).send(round * 3 + UInt8(place)))
      }
      for place in 0..<3 as Range<UInt8> { #expect(try consumer.receive() == round * 3 + place) }
    }
  }

  @Test("a bucket is in memory before the index says so, and each look at the other's index is a fresh one")
  func order() throws {
    let queue = try TestQueue(buckets: 2, bucketSize: 128)
    let (a, b) = (Host(queue), Host(queue))
    let (producer, consumer) = (try QueueProducer(a.open()), try QueueConsumer(b.open()))
    for host in [a, b] { host.forgetSteps() }
    #expect(try producer.send(1))
    #expect(
      a.producer.steps
        == ["write 2097152", "fence", "store 1064", "store 32", "write back 1064", "write back 32", "fence"])
    #expect(a.consumer.steps == [])
    #expect(try consumer.receive() == 1)
    #expect(b.producer.steps == ["invalidate 32", "load 32", "invalidate 2097152", "read 2097152"])
    #expect(
      b.consumer.steps == ["store 1048592", "store 8", "write back 1048592", "write back 8", "fence"])
    for host in [a, b] { host.forgetSteps() }
    #expect(try producer.send(2) && !producer.send(3))
    #expect(a.consumer.steps == ["invalidate 8", "load 8", "invalidate 8", "load 8"])
  }

  @Test("two threads pass a million messages through mapped files, each whole and in order", .timeLimit(.minutes(15)))
  func aMillion() throws {
    let files = try Scratch(of: TestQueue(buckets: 1024, bucketSize: 64))
    defer { files.remove() }
    let count: UInt64 = 1_000_000
    let sides = try [true, false].map { isProducer in
      let devices = try files.map(producer: isProducer, consumer: !isProducer)
      return try SharedQueue(producer: devices.producer, consumer: devices.consumer)
    }
    let failures = Mutex<[String]>([])
    let sending = try Thread(named: "sending") { [queue = sides[0]] in
      do {
        let producer = try QueueProducer(queue)
        for number in 0..<count {
          while try !producer.send({ payload, _ in payload.storeBytes(of: number, as: UInt64.self) }) { sched_yield() }
        }
      } catch { failures.withLock { $0.append("\(error)") } }
    }
    let consumer = try QueueConsumer(sides[1])
    var received: UInt64 = 0
    while received < count, failures.withLock({ $0.isEmpty }) {
      guard let message = try consumer.peek() else {
        sched_yield()
        continue
      }
      guard message.sequence == received, message.payload.loadUnaligned(as: UInt64.self) == received else {
        Issue.record("message \(received) came as \(message.sequence)")
        break
      }
      try consumer.advance()
      received += 1
    }
    if received == count { sending.join() }
    #expect(received == count)
    #expect(failures.withLock { $0 } == [])
  }
}

/// A host's view of a queue.
private struct Host {
  let producer: HostView
  let consumer: HostView

  init(_ queue: TestQueue) {
    (producer, consumer) = (HostView(of: queue.producer), HostView(of: queue.consumer))
  }

  func open() throws -> SharedQueue { try SharedQueue(producer: producer, consumer: consumer) }

  func forgetSteps() {
    producer.forgetSteps()
    consumer.forgetSteps()
  }
}

/// A queue in two real files.
private struct Scratch {
  let producer: String
  let consumer: String
  private let folder: String

  init(of queue: TestQueue) throws {
    var template = Array("/dev/shm/weft-queue-XXXXXX".utf8CString)
    folder = try template.withUnsafeMutableBufferPointer {
      String(cString: try #require($0.baseAddress.flatMap { mkdtemp($0) }))
    }
    (producer, consumer) = (folder + "/q", folder + "/q.consumer")
    for (path, memory) in [(producer, queue.producer), (consumer, queue.consumer)] {
      try FileDescriptor(opening: path, [.readWrite, .create]).write(at: 0, all: UnsafeRawBufferPointer(memory.bytes))
    }
  }

  func map(writing: Bool) throws -> (producer: MappedDevice, consumer: MappedDevice) {
    try map(producer: writing, consumer: writing)
  }

  /// Maps each for writing or for reading only.
  func map(producer isWritten: Bool, consumer isWrittenToo: Bool) throws -> (
    producer: MappedDevice, consumer: MappedDevice
  ) {
    (
      try MappedDevice(path: producer, writable: isWritten), try MappedDevice(path: consumer, writable: isWrittenToo)
    )
  }

  func remove() {
    for path in [producer, consumer] { unlink(path) }
    rmdir(folder)
  }
}
