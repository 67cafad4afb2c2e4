import Memory
import Platform
import Synchronization

/// What a host may do with a volume.
public enum Role: String, Sendable {
  /// It made the volume, or took it over: it alone appends to the log.
  case master
  /// Everybody else: reads metadata, and may read and write the contents of files.
  case client
}

/// An open famfs volume: the front door of this module.
///
/// Two pieces of state, each behind its own lock. `logEnd` is the end of the log: who appends or follows holds it, also
/// while the device's memory is written. `replayed` is what the entries add up to: requests take it for lookups, never
/// across an access to the device. Order: `logEnd` before `replayed`. A third lock, `members`, which is taken last and
/// never together with `replayed`, keeps where this host has the volume's further devices.
public final class Volume: Sendable {
  /// The memory that superblock and log are on: device 0.
  public let device: any MemoryDevice
  /// As it was when the volume was opened.
  public let superblock: Superblock
  /// This host's system UUID.
  let host: UUID?
  let isMaster: Atomic<Bool>
  /// One more each time that this host is no longer master: space and slots taken before are others' by then.
  let terms = Atomic<UInt64>(0)
  /// As the superblock had it last.
  let masterUUID: Mutex<UUID>
  /// The log header as it was when the volume was opened.
  let header: LogHeader
  /// What was wrong then with its count of entries: it cannot be true. What the slots hold is still shown.
  let headerProblem: String?

  /// Whether the device holds another volume by now: nothing of this one may be read or written any more.
  let lost = Atomic(false)

  /// What it has that the public famfs does not know.
  let features: Result<Features?, FeaturesError>
  /// Whether files can be removed, or have been, or what says so is damaged: then it is counted who has what open.
  public let isReclaiming: Bool

  let replayed: Mutex<ReplayedLog>
  /// The devices beside the first, in the order of their indexes.
  let members: Mutex<[Member]> = Mutex([])
  let findDevice: DeviceFinder
  let logEnd: Mutex<LogEnd>
  let writer: LogWriter

  /// The end of the log, and what is on its way there.
  struct LogEnd {
    var follower: LogFollower
    var reservations: [UInt64: Reservation.Pending] = [:]
    /// Their paths, which nobody else may take.
    var reservedPaths: Set<EntryPath> = []
    var lastReservation: UInt64 = 0
    /// Slots of the log that are kept for what was made on the mount.
    var heldSlots: UInt64 = 0
    /// Why nothing may be appended any more.
    var failure: String?
    /// What has come since `follow` last told.
    var news = FollowedChanges()
  }

  /// Opens the volume on a device and plays its log.
  /// - Parameters:
  ///   - host: this host's system UUID, which decides its role; a host without one is a client.
  ///   - playing: false leaves the log unread (`famfs mount --dummy`) until `follow` or the first append.
  ///   - finding: finds the volume's further devices on this host. A volume that lacks some is opened without them.
  /// - Throws: a sentence when there is no volume or its superblock or log header is bad. Bad entries do not stop it;
  ///   see `report`.
  public init(
    on device: any MemoryDevice, host: UUID?, playing: Bool = true,
    finding: @escaping DeviceFinder = DeviceSearch().find
  ) throws(FamfsError) {
    self.device = device
    findDevice = finding
    superblock = try Volume.readSuperblock(of: device)
    self.host = host
    let isMaster = host == superblock.systemUUID
    self.isMaster = Atomic(isMaster)
    masterUUID = Mutex(superblock.systemUUID)
    guard device.size >= superblock.dataOffset else {
      throw .tooSmall(device.path, device.size, needed: superblock.dataOffset)
    }
    header = try Volume.readLogHeader(of: device, superblock)
    features = Volume.readFeatures(of: device, superblock)
    var follower = LogFollower(played: 0, capacity: header.capacity)
    var replayed = ReplayedLog(
      superblock: superblock, deviceSize: device.size, isMaster: isMaster, time: Clock.fileTime())
    if playing { Volume.play(min(header.nextIndex, header.capacity), on: device, superblock, &follower, &replayed) }
    // Entries beyond the last slot are no entries, but what the slots hold is shown.
    if !follower.isHollow && header.nextIndex > header.capacity { _ = follower.see(header.nextIndex) }
    headerProblem = follower.problem(of: header.nextIndex)
    let mayRemove = if case .success(let found) = features { found?.isReclaiming == true } else { true }
    isReclaiming = mayRemove || !replayed.removals.files.isEmpty
    if isMaster { replayed.holdRemoved() }
    self.replayed = Mutex(replayed)
    writer = LogWriter(device: device, start: superblock.logOffset)
    logEnd = Mutex(LogEnd(follower: follower))
    logEnd.withLock { $0.failure = headerProblem }
    findNewDevices()
  }

  /// Plays the first `count` entries of a log. The replayed log grows with the entries that there are, not by what is
  /// claimed.
  private static func play(
    _ count: UInt64, on device: any MemoryDevice, _ superblock: Superblock, _ follower: inout LogFollower,
    _ replayed: inout ReplayedLog
  ) {
    let reader = LogReader(device: device, start: superblock.logOffset)
    let time = Clock.fileTime()
    var room: UInt64 = 0
    while case .play(let range) = follower.see(count, atMost: LogFollower.batch) {
      if range.upperBound > room {
        room = min(count, 2 * range.upperBound)
        replayed.makeRoom(entries: room)
      }
      reader.read(range) { index, entry, bytes in
        _ = replayed.take(index, entry, bytes: bytes, &follower, time: time, isNews: false)
      }
    }
  }

  /// Reads the superblock, twice if need be: a stale cache line looks like a bad one.
  /// - Parameter allowsSecondary: whether one of a device without a log will do.
  public static func readSuperblock(
    of device: any MemoryDevice, allowsSecondary: Bool = false
  ) throws(FamfsError) -> Superblock {
    guard device.size >= Superblock.size else {
      throw .superblock(device.path, .notFamfs)
    }
    do {
      return try readTwice(device, at: 0, count: Superblock.size) { (bytes) throws(SuperblockError) in
        try Superblock(parsing: bytes, allowsSecondary: allowsSecondary)
      }
    } catch {
      switch error {
      case .memory(let errno): throw .memory(device.path, errno)
      case .content(let error): throw .superblock(device.path, error)
      }
    }
  }

  /// Reads the log header, twice if need be.
  static func readLogHeader(of device: any MemoryDevice, _ superblock: Superblock) throws(FamfsError) -> LogHeader {
    do {
      return try readTwice(device, at: superblock.logOffset, count: LogHeader.size) { (bytes) throws(LogHeaderError) in
        try LogHeader(parsing: bytes, logLength: superblock.logLength)
      }
    } catch {
      switch error {
      case .memory(let errno): throw .memory(device.path, errno)
      case .content(let error): throw .logHeader(device.path, error)
      }
    }
  }

  private enum ReadError<Content: Error>: Error {
    case memory(Errno)
    case content(Content)
  }

  private static func readTwice<Value, Failure: Error>(
    _ device: any MemoryDevice, at offset: UInt64, count: Int, _ parse: (RawSpan) throws(Failure) -> Value
  ) throws(ReadError<Failure>) -> Value {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
    defer { buffer.deallocate() }
    do {
      // What this host still has cached may be a former volume's, and whole.
      try device.invalidate(at: offset, count: UInt64(count))
      try device.read(at: offset, into: buffer)
    } catch { throw .memory(error) }
    if let value = try? parse(UnsafeRawBufferPointer(buffer).bytes) { return value }
    do {
      try device.invalidate(at: offset, count: UInt64(count))
      try device.read(at: offset, into: buffer)
    } catch { throw .memory(error) }
    do { return try parse(UnsafeRawBufferPointer(buffer).bytes) } catch { throw .content(error) }
  }
}
