import Glibc
import Platform

/// Which file or device a file system's first device is, whatever its path.
public enum DeviceIdentity: Equatable, Sendable {
  /// A plain file: st_dev and st_ino.
  case file(UInt64, UInt64)
  /// A character device: st_rdev.
  case character(UInt64)
  /// A block device: st_rdev.
  case block(UInt64)

  /// Nil for what no file system can lie on.
  public init?(_ status: FileStatus) {
    switch status.kind {
    case .regular: self = .file(status.device, status.inode)
    case .characterDevice: self = .character(status.specialDevice)
    case .blockDevice: self = .block(status.specialDevice)
    default: return nil
    }
  }

  fileprivate init?(words: ArraySlice<Substring>) {
    let numbers = words.dropFirst().compactMap { UInt64($0) }
    switch (words.first, numbers.count, words.count) {
    case ("file", 2, 3): self = .file(numbers[0], numbers[1])
    case ("char", 1, 2): self = .character(numbers[0])
    case ("block", 1, 2): self = .block(numbers[0])
    default: return nil
    }
  }

  fileprivate var text: String {
    switch self {
    case .file(let device, let inode): "file \(device) \(inode)"
    case .character(let number): "char \(number)"
    case .block(let number): "block \(number)"
    }
  }
}

/// What a daemon writes about its mount into its user's run directory: see docs/decisions/finding-mounts.md. The C
/// library reads it, too.
package struct MountRecord: Equatable, Sendable {
  /// What stat(2) gives as st_dev for everything on the mount.
  package let major: UInt32
  /// The number behind it.
  package let minor: UInt32
  /// When it was mounted, by `Clock.monotonic`.
  package let since: UInt64
  /// The file system's own identifier.
  package let volume: UUID
  /// Device 0.
  package let device: DeviceIdentity
  /// The daemon's process, in its own name space.
  package let process: pid_t
  /// What kind of daemon it is.
  package let service: ServiceName

  /// What a file name ends with that holds one.
  package static let suffix = ".record"
  /// More bytes than a record has.
  package static let limit = 4096

  package init(of mount: Mount, by service: ServiceName, volume: UUID, device: DeviceIdentity) {
    self.service = service
    (major, minor) = mount.device
    since = Clock.monotonic()
    self.volume = volume
    self.device = device
    process = getpid()
  }

  /// Reads a record; nil when it is not a whole one of this kind of daemon.
  package init?(text: String, of service: ServiceName) {
    self.service = service
    var lines: [Substring: ArraySlice<Substring>] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      if let name = words.first { lines[name] = words.dropFirst() }
    }
    guard lines[service.text[...]] == ["mount", "1"], let numbers = lines["mount"]?.first?.split(separator: ":"),
      numbers.count == 2, let major = UInt32(numbers[0]), let minor = UInt32(numbers[1]),
      let since = lines["since"]?.first.flatMap({ UInt64($0) }),
      let volume = lines["volume"]?.first.flatMap({ UUID($0) }),
      let device = lines["device"].flatMap({ DeviceIdentity(words: $0) }),
      let process = lines["process"]?.first.flatMap({ pid_t($0) }), process > 0
    else { return nil }
    (self.major, self.minor, self.since) = (major, minor, since)
    (self.volume, self.device, self.process) = (volume, device, process)
  }

  /// One fact a line.
  package var text: String {
    """
    \(service.text) mount 1
    mount \(major):\(minor)
    since \(since)
    volume \(volume)
    device \(device.text)
    process \(process)

    """
  }

  /// Whether this is the record of a mount.
  package func names(_ mount: Mount) -> Bool { mount.device == (major, minor) }
}

/// A record that was found, and what stands beside it.
package struct FoundRecord: Sendable {
  package let record: MountRecord
  /// The folder with the daemon's sockets.
  package let folder: String
  /// Whether the daemon is there, running or stopped: it holds the record locked.
  package let isAlive: Bool

  /// Every record of a user's daemons. Nothing that another user could have written is among them.
  package static func all(of user: UInt32, _ service: ServiceName) -> [FoundRecord] {
    files(of: user, service).compactMap { file in
      guard let record = file.record else { return nil }
      return FoundRecord(
        record: record, folder: String(file.path.dropLast(MountRecord.suffix.count)), isAlive: file.isLocked)
    }
  }

  /// The file of a record, which may not be written yet.
  private struct File {
    let path: String
    let isLocked: Bool
    /// Nil when the file holds no whole one.
    let record: MountRecord?

    /// Reads it; nil when it is not this user's alone.
    init?(_ path: String, of user: UInt32, _ service: ServiceName) {
      guard let file = try? FileDescriptor(opening: path, [.readOnly, .noFollow, .nonBlocking]),
        let status = try? file.status(), status.kind == .regular, status.userID == user,
        status.permissions & 0o022 == 0, let isLocked = try? file.isLocked(byte: 0)
      else { return nil }
      self.path = path
      self.isLocked = isLocked
      record = MountRecord(text: File.text(of: file), of: service)
    }

    private static func text(of file: borrowing FileDescriptor) -> String {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: MountRecord.limit, alignment: 8)
      defer { bytes.deallocate() }
      let count = (try? file.read(at: 0, into: bytes)) ?? 0
      return String(decoding: bytes[..<count], as: UTF8.self)
    }
  }

  private static func files(of user: UInt32, _ service: ServiceName) -> [File] {
    RunDirectory.candidates(of: user, service).flatMap { directory in
      RunDirectory.belongs(directory, to: user) ? files(in: directory, of: user, service) : []
    }
  }

  private static func files(in directory: String, of user: UInt32, _ service: ServiceName) -> [File] {
    directoryNames(directory).compactMap { name in
      guard name.hasPrefix(RunDirectory.folderPrefix), name.hasSuffix(MountRecord.suffix) else { return nil }
      return File(directory + "/" + name, of: user, service)
    }
  }

  // MARK: The record of a mount

  /// The record of a mount, whether its daemon lives or not; nil when no daemon of its user says that it serves it.
  /// The mount itself is asked nothing.
  package static func of(_ mount: Mount, _ service: ServiceName) -> FoundRecord? { of([mount], service)[0] }

  /// The same for each of several mounts.
  package static func of(_ mounts: [Mount], _ service: ServiceName) -> [FoundRecord?] {
    var records: [UInt32: [FoundRecord]] = [:]
    for user in Set(mounts.compactMap(\.userID)) where RunDirectory.isBelieved(user) {
      records[user] = all(of: user, service, for: mounts.filter { $0.userID == user })
    }
    return mounts.map { mount in mount.userID.flatMap { records[$0] }.flatMap { of(mount, among: $0) } }
  }

  /// Nanoseconds that a daemon is given to write its record.
  private static let patience: UInt64 = 5_000_000_000

  /// The records of a user's daemons, for these mounts of that user.
  ///
  /// A mount that looks dead may be new: its daemon has not written its record yet, and the kernel has given it the number
  /// that the record of a dead daemon has. A daemon locks its record before it mounts, so the records that are locked
  /// and not whole are waited for, and then all are read again. A mount of which nothing is known by then has no record.
  /// - Parameters:
  ///   - patience: nanoseconds that are waited at most.
  ///   - pause: called between two looks.
  static func all(
    of user: UInt32, _ service: ServiceName, for mounts: [Mount], patience: UInt64 = patience,
    pause: () -> Void = { Clock.sleep(nanoseconds: 2_000_000) }
  ) -> [FoundRecord] {
    let found = all(of: user, service)
    let looksDead = { (records: [FoundRecord]) in mounts.contains { of($0, among: records)?.isAlive == false } }
    guard looksDead(found) else { return found }
    let deadline = Clock.monotonic() + patience
    var beginning = files(of: user, service).filter { $0.isLocked && $0.record == nil }.map(\.path)
    while !beginning.isEmpty {
      if Clock.monotonic() > deadline { return all(of: user, service).filter(\.isAlive) }
      pause()
      beginning = beginning.filter { path in
        File(path, of: user, service).map { $0.isLocked && $0.record == nil } ?? false
      }
    }
    return all(of: user, service)
  }

  /// The record of a mount among those of its user.
  static func of(_ mount: Mount, among records: [FoundRecord]) -> FoundRecord? {
    // A daemon that has been unmounted may still be ending while its number is another mount's.
    records.filter { $0.record.names(mount) }
      .max { ($0.isAlive ? 1 : 0, $0.record.since) < ($1.isAlive ? 1 : 0, $1.record.since) }
  }
}
