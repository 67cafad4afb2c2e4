import CommandKit
import Famfs
import FamfsControl
import Memory
import Platform

/// A mounted volume compared with its log: what the mount shows, what its daemon knows, and what stands on the device.
struct MountCheck: ~Copyable {
  /// Bits of the exit status.
  static let entry: Int32 = 1
  /// The superblock is bad, or the mount shows another.
  static let superblock: Int32 = 2
  /// The log is bad, or the mount shows another.
  static let log: Int32 = 4

  /// What came of it.
  struct Outcome {
    var status: Int32 = 0
    var files: UInt64 = 0
    var directories: UInt64 = 0
    /// Files and directories that are not there, or wrong.
    var wrong: UInt64 = 0
    /// The first 1000 problems.
    var problems: [(path: String?, sentence: String)] = []
  }

  private let mount: Mount
  private let client: ControlClient
  private let device: MappedDevice
  private let devices: MountedDevices
  /// Indexes of the devices that this host has.
  private var present: Set<UInt64> = []
  private let isVerbose: Bool
  private let isSilent: Bool
  private var outcome = Outcome()

  init(
    of mount: Mount, through client: consuming ControlClient, on devices: MountedDevices, isVerbose: Bool,
    isSilent: Bool
  ) throws(FamfsError) {
    self.mount = mount
    self.client = client
    self.devices = devices
    device = try devices[0]
    self.isVerbose = isVerbose
    self.isSilent = isSilent
  }

  /// Compares everything.
  consuming func run() -> Outcome {
    do {
      // The log first: what is committed from here on is not looked for.
      let volume = try Volume(on: device, host: HostIdentity.knownSystemUUID(), finding: devices.find)
      let report = volume.report()
      for problem in report.problems { note(MountCheck.log, nil, "\(problem)") }
      if let problem = report.headerProblem { note(MountCheck.log, nil, problem) }
      for device in report.devices {
        if device.path != nil { present.insert(device.index) }
        if let trouble = device.trouble { note(MountCheck.entry, nil, trouble) }
      }
      try checkMeta(volume)
      try waitForDaemon(report.usage.entries)
      try volume.forEachEntry { _, entry in check(entry) }
    } catch {
      switch error {
      case FamfsError.superblock, FamfsError.tooSmall: note(MountCheck.superblock, nil, "\(error)")
      case FamfsError.logHeader: note(MountCheck.log, nil, "\(error)")
      default: note(MountCheck.entry, nil, "\(error)")
      }
    }
    return outcome
  }

  private mutating func note(_ bit: Int32, _ path: String?, _ sentence: String) {
    outcome.status |= bit
    if outcome.problems.count < 1000 { outcome.problems.append((path, sentence)) }
    let line = path.map { "\($0): \(sentence)" } ?? sentence
    if !isSilent { printError("\(CheckCommand.command): \(line)") }
  }

  /// A daemon follows the log within 20 ms; one that was told not to (famfs mount --dummy) is waited for in vain.
  private func waitForDaemon(_ entries: UInt64) throws(FamfsError) {
    let deadline = Clock.monotonic() + 1_000_000_000
    while try client.status().entries < entries && Clock.monotonic() < deadline {
      Clock.sleep(nanoseconds: 2_000_000)
    }
  }

  // MARK: The volume's own files

  private mutating func checkMeta(_ volume: Volume) throws {
    if try client.status().volumeUUID != volume.superblock.uuid {
      note(MountCheck.superblock, nil, "the device holds another volume than the one that is mounted; mount it again")
    }
    if mount.root != "/" { return }  // a bind mount of a directory does not show them
    // The header's last two numbers change with every append, so they are left out.
    let start = volume.superblock.logOffset
    let used = min(volume.usage().entries * UInt64(LogEntry.size), volume.superblock.logLength - UInt64(LogHeader.size))
    // Behind the superblock's first 4 KiB are heartbeats, which always change.
    let parts: [(Int32, String, UInt64, UInt64, UInt64)] = [
      (MountCheck.superblock, ".meta/.superblock", 0, 0, Heartbeat.areaOffset),
      (MountCheck.log, ".meta/.log", start, 0, 32),
      (MountCheck.log, ".meta/.log", start, UInt64(LogHeader.size), used),
    ]
    for (bit, name, area, offset, count) in parts {
      do {
        let shown = try FileDescriptor(opening: mount.mountPoint + "/" + name, .readOnly)
        if let place = try difference(shown, at: offset, area + offset, count) {
          note(bit, name, "differs from the device at offset \(place)")
        }
      } catch {
        note(bit, name, "cannot be compared with the device: \(error)")
      }
    }
  }

  /// Where a file differs from the device; nil when it does not.
  private func difference(
    _ file: borrowing FileDescriptor, at fileOffset: UInt64, _ deviceOffset: UInt64, _ count: UInt64
  ) throws(Errno) -> UInt64? {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 512 << 10, alignment: 4096)
    defer { room.deallocate() }
    let half = room.count / 2
    var done: UInt64 = 0
    while done < count {
      let length = Int(min(UInt64(half), count - done))
      let (shown, stored) = (
        UnsafeMutableRawBufferPointer(rebasing: room[..<length]),
        UnsafeMutableRawBufferPointer(rebasing: room[half..<half + length])
      )
      let got = try file.read(at: fileOffset + done, into: shown)
      try device.invalidate(at: deviceOffset + done, count: UInt64(length))
      try device.read(at: deviceOffset + done, into: stored)
      if let place = (0..<length).first(where: { $0 >= got || shown[$0] != stored[$0] }) {
        return fileOffset + done + UInt64(place)
      }
      done += UInt64(length)
    }
    return nil
  }

  // MARK: Files and directories

  private mutating func check(_ entry: LogEntry) {
    let path: EntryPath
    let problem: String?
    switch entry.payload {
    case .file(let record):
      path = record.path
      guard let shown = place(of: path) else { return }
      outcome.files += 1
      problem = self.problem(with: record, at: shown)
    case .directory(let record):
      path = record.path
      guard let shown = place(of: path) else { return }
      outcome.directories += 1
      problem = self.problem(withDirectoryAt: shown)
    case .removal, .addDevice, .attributes: return
    }
    if let problem {
      outcome.wrong += 1
      note(MountCheck.entry, "\(path)", problem)
    } else if isVerbose {
      printOut("\(oneLine("\(path)")): good\n")
    }
  }

  /// Where the mount shows an entry: bytes, for a name need not be UTF-8. Nil when it shows another part of the volume.
  private func place(of path: EntryPath) -> [UInt8]? {
    let root = pathComponents(mount.root).map { $0.fileNameBytes + [UInt8(ascii: "/")] }.joined()
    return path.withBytes { path in
      guard path.starts(with: root) else { return nil }
      return mount.mountPoint.fileNameBytes + [UInt8(ascii: "/")] + path.dropFirst(root.count)
    }
  }

  private func problem(withDirectoryAt place: [UInt8]) -> String? {
    do throws(Errno) {
      return try FileStatus(path: place).kind == .directory ? nil : "the mount shows no directory there"
    } catch {
      return "the mount does not show it: \(error)"
    }
  }

  private func problem(with record: FileRecord, at place: [UInt8]) -> String? {
    do throws(Errno) {
      let status = try FileStatus(path: place)
      guard status.kind == .regular else { return "the mount shows no file there" }
      guard status.size == record.size else {
        return "the mount shows \(status.size) bytes, and the log has \(record.size)"
      }
    } catch {
      return "the mount does not show it: \(error)"
    }
    if let missing = record.layout.extents.array.first(where: { !present.contains($0.device) }) {
      return "it lies on device \(missing.device), which this host does not have"
    }
    let path = "\(record.path)"
    do throws(FamfsError) {
      guard case .mapped(let layout, let size) = try client.ask(.map(path)) else { throw ControlClient.nonsense }
      return layout == record.layout && size == record.size ? nil : "the daemon maps it elsewhere than the log has it"
    } catch {
      return "the daemon does not map it: \(error)"
    }
  }
}
