import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform
import Queue

/// Who is to own a queue: -u and -g, names or numbers; nil for the caller.
struct QueueOwner {
  let userID: UInt32?
  let groupID: UInt32?

  init(userID: UInt32? = nil, groupID: UInt32? = nil) { (self.userID, self.groupID) = (userID, groupID) }

  init(_ arguments: Arguments) throws(UsageError) {
    userID = try QueueOwner.number(arguments["uid"], "--uid", "user") { getpwnam($0).map { $0.pointee.pw_uid } }
    groupID = try QueueOwner.number(arguments["gid"], "--gid", "group") { getgrnam($0).map { $0.pointee.gr_gid } }
  }

  private static func number(
    _ text: String?, _ option: String, _ kind: String, _ find: (String) -> UInt32?
  ) throws(UsageError) -> UInt32? {
    guard let text else { return nil }
    if let number = find(text) ?? UInt32(text), number != .max { return number }
    throw UsageError("\(option): there is no \(kind) '\(text)'; give a name or a number")
  }
}

/// Makes queues.
enum QueueMaker {
  /// Makes the two files. The producer's comes last: whoever sees it finds the queue complete.
  static func make(_ path: String, _ shape: QueueShape, owner: QueueOwner) throws {
    let parts = [
      Part(path: path + QueueFiles.suffix, size: QueueShape.consumerFileSize, words: QueueShape.consumerWords),
      Part(path: path, size: shape.fileSize, words: shape.producerWords),
    ]
    for part in parts where access(part.path.cFileName, F_OK) == 0 {
      throw SentenceError("\(part.path) exists already; remove it or choose another name")
    }
    let mode = 0o644 & ~currentUmask()
    if let volume = try? VolumePath(path) {
      try makeInVolume(parts, volume.mount, mode: mode, owner: owner)
    } else {
      try makePlain(parts, mode: mode, owner: owner)
    }
  }

  private struct Part {
    let path: String
    let size: UInt64
    let words: [QueueWord]
  }

  // MARK: In a volume

  private static func makeInVolume(_ parts: [Part], _ mount: Mount, mode: UInt32, owner: QueueOwner) throws {
    let files = try parts.map { part in
      let name = NewName(
        path: try VolumePath(part.path).path, permissions: mode, userID: owner.userID ?? getuid(),
        groupID: owner.groupID ?? getgid())
      return FileMaker.NewFile(name: name, size: part.size)
    }
    // A volume's files cannot be removed: both are made, or none.
    try FileMaker(mount: mount).make(files) { part, device, extent, fileOffset in
      try device.zero(at: extent.offset, count: extent.length)
      for word in parts[part].words where word.offset >= fileOffset && word.offset - fileOffset < extent.length {
        let place = extent.offset + word.offset - fileOffset
        try device.store64(at: place, word.value)
        try device.writeBack(at: place, count: 8)
      }
    }
  }

  // MARK: In a directory

  private static func makePlain(_ parts: [Part], mode: UInt32, owner: QueueOwner) throws {
    var made: [String] = []
    var current = ""
    do throws(Errno) {
      for part in parts {
        current = part.path
        let file = try FileDescriptor(opening: part.path, [.readWrite, .create, .exclusive], mode: mode)
        made.append(part.path)
        if owner.userID != nil || owner.groupID != nil {
          try retrying { fchown(file.rawValue, owner.userID ?? .max, owner.groupID ?? .max) }
        }
        // Its space now: in a sparse file a store into memory that is not to be had ends the process.
        try file.reserve(part.size)
        for word in part.words {
          var value = word.value.littleEndian
          let outcome = withUnsafeBytes(of: &value) { bytes in
            Result { () throws(Errno) in try file.write(at: word.offset, all: bytes) }
          }
          try outcome.get()
        }
      }
    } catch {
      for path in made { unlink(path.cFileName) }
      throw SentenceError("\(current) cannot be made: \(error)")
    }
  }
}
