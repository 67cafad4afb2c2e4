/// The producer's file, at byte offsets. Only the producer writes it.
enum ProducerFile {
  static let magic: UInt64 = 0xbee_bee3

  static let magicAt: UInt64 = 0
  static let bucketCountAt: UInt64 = 8
  static let bucketSizeAt: UInt64 = 16
  static let arrayOffsetAt: UInt64 = 24
  /// The bucket that is filled next.
  static let indexAt: UInt64 = 32
  /// The number of the next message.
  static let nextSequenceAt: UInt64 = 1064
  static let fileSizeAt: UInt64 = 1072
  static let headerSize: UInt64 = 1080

  /// Where the buckets of a new queue begin.
  static let arrayOffset: UInt64 = 2 << 20
}

/// The consumer's file, at byte offsets. Only the consumer writes it.
enum ConsumerFile {
  /// 32 bits; the other half of the word is nobody's.
  static let magic: UInt32 = 0xbee_bee4
  static let size: UInt64 = 2 << 20

  static let magicAt: UInt64 = 0
  /// The bucket that is emptied next.
  static let indexAt: UInt64 = 8
  /// The number of the next message.
  static let nextSequenceAt: UInt64 = 1_048_592
  static let fileSizeAt: UInt64 = 1_048_600
  static let headerSize: UInt64 = 1_048_608
}

/// A word of one of the files.
public struct QueueWord: Equatable, Sendable {
  /// Where it stands in the file, in bytes: a multiple of 8.
  public let offset: UInt64
  /// Stored little-endian.
  public let value: UInt64
}

/// How many buckets a queue has, how large and where: what is fixed when it is made.
public struct QueueShape: Equatable, Sendable {
  /// One bucket always stays free, so a queue holds one message less.
  public let bucketCount: UInt64
  /// Bytes of a bucket: payload, sequence and checksum.
  public let bucketSize: UInt64
  /// Where the first bucket begins in the producer's file, in bytes.
  public let arrayOffset: UInt64

  /// Bytes of a bucket behind the payload: the message's number, and the checksum.
  public static let trailerSize: UInt64 = 16
  /// Bytes of the consumer's file.
  public static let consumerFileSize = ConsumerFile.size
  /// What this program takes: a message is copied before it is believed.
  private static let largestBucket: UInt64 = 1 << 30

  /// Bytes of a message.
  public var payloadSize: UInt64 { bucketSize - QueueShape.trailerSize }
  /// Bytes of the producer's file.
  public var fileSize: UInt64 { arrayOffset + bucketCount * bucketSize }

  /// The shape of a new queue.
  /// - Throws: a sentence, when there can be no such queue.
  public init(bucketCount: UInt64, bucketSize: UInt64) throws(QueueError) {
    self.bucketCount = bucketCount
    self.bucketSize = bucketSize
    arrayOffset = ProducerFile.arrayOffset
    if let problem = problem(room: UInt64(Int64.max)) { throw .shape("\(problem); choose other sizes") }
  }

  /// Reads a producer's file's header, which may hold anything, and checks it against the file's size.
  init(of file: QueueFile) throws(QueueError) {
    guard file.size >= ProducerFile.headerSize else {
      throw .header(file.path, "has \(file.size) bytes and is no queue; make one with pcq --create")
    }
    let magic = try file.look(at: ProducerFile.magicAt)
    guard magic == ProducerFile.magic else {
      throw .header(file.path, "is no queue: it begins with \(hex(magic)); make one with pcq --create")
    }
    bucketCount = try file.look(at: ProducerFile.bucketCountAt)
    bucketSize = try file.look(at: ProducerFile.bucketSizeAt)
    arrayOffset = try file.look(at: ProducerFile.arrayOffsetAt)
    let claimed = try file.look(at: ProducerFile.fileSizeAt)
    guard claimed <= file.size else {
      throw .header(file.path, "is damaged: it is to have \(claimed) bytes and has \(file.size); make a new queue")
    }
    if let problem = problem(room: claimed) { throw .header(file.path, "is damaged: \(problem); make a new queue") }
  }

  /// Checks a consumer's file's header.
  static func checkConsumer(_ file: QueueFile) throws(QueueError) {
    guard file.size >= ConsumerFile.headerSize else {
      throw .header(file.path, "has \(file.size) bytes and is no consumer's file of a queue; make a new queue")
    }
    let magic = UInt32(truncatingIfNeeded: try file.look(at: ConsumerFile.magicAt))
    guard magic == ConsumerFile.magic else {
      throw .header(
        file.path, "is no consumer's file of a queue: it begins with \(hex(UInt64(magic))); make a new queue")
    }
    let claimed = try file.look(at: ConsumerFile.fileSizeAt)
    guard claimed <= file.size, claimed >= ConsumerFile.headerSize else {
      throw .header(file.path, "is damaged: it is to have \(claimed) bytes and has \(file.size); make a new queue")
    }
  }

  /// Why these numbers are no queue that fits in so many bytes; nil when they are one.
  private func problem(room: UInt64) -> String? {
    guard bucketCount >= 2 else { return "a queue of \(bucketCount) buckets holds nothing, it takes 2 at least" }
    guard bucketSize > QueueShape.trailerSize, bucketSize <= QueueShape.largestBucket else {
      return "buckets of \(bucketSize) bytes are not possible, they have 17 bytes to 1 GiB"
    }
    guard arrayOffset >= ProducerFile.headerSize else { return "its buckets begin at \(arrayOffset), in the header" }
    let (bytes, overflow) = bucketCount.multipliedReportingOverflow(by: bucketSize)
    let (end, beyond) = bytes.addingReportingOverflow(arrayOffset)
    guard !overflow, !beyond, end <= room else {
      return "\(bucketCount) buckets of \(bucketSize) bytes from byte \(arrayOffset) on do not fit in \(room) bytes"
    }
    return nil
  }

  /// Where a bucket begins in the producer's file. `index` is below `bucketCount`.
  func offset(of index: UInt64) -> UInt64 { arrayOffset + index * bucketSize }

  /// The bucket behind one, in the ring.
  func next(_ index: UInt64) -> UInt64 { index + 1 == bucketCount ? 0 : index + 1 }

  /// The bucket before one, in the ring.
  func previous(_ index: UInt64) -> UInt64 { index == 0 ? bucketCount - 1 : index - 1 }

  /// How many messages wait between two indexes of the ring, which are below `bucketCount`.
  public func waiting(producer: UInt64, consumer: UInt64) -> UInt64 {
    producer >= consumer ? producer - consumer : bucketCount - consumer + producer
  }

  /// What a new producer's file holds that is not zero.
  public var producerWords: [QueueWord] {
    [
      QueueWord(offset: ProducerFile.magicAt, value: ProducerFile.magic),
      QueueWord(offset: ProducerFile.bucketCountAt, value: bucketCount),
      QueueWord(offset: ProducerFile.bucketSizeAt, value: bucketSize),
      QueueWord(offset: ProducerFile.arrayOffsetAt, value: arrayOffset),
      QueueWord(offset: ProducerFile.fileSizeAt, value: fileSize),
    ]
  }

  /// What a new consumer's file holds that is not zero.
  public static var consumerWords: [QueueWord] {
    [
      QueueWord(offset: ConsumerFile.magicAt, value: UInt64(ConsumerFile.magic)),
      QueueWord(offset: ConsumerFile.fileSizeAt, value: ConsumerFile.size),
    ]
  }
}

private func hex(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
