import CYardstick
import Glibc

/// An entry of a directory, as getdents64(2) gives it.
struct DirectoryEntry: Equatable {
  let name: Name
  let inode: UInt64
  /// What lseek(2) takes to go on behind this entry.
  let next: Int
  /// A DT_ number.
  let type: UInt8
}

extension File {
  /// One getdents64(2), for its answer.
  func listing(size: Int = 32768) -> Answer {
    var buffer = [UInt8](repeating: 0, count: size)
    return buffer.withUnsafeMutableBytes { call("getdents64", SYS_getdents64, $0.address, $0.count) }
  }

  /// The next entries of this directory, as many as fit into `size` bytes; none at its end.
  func entries(size: Int = 32768, file: StaticString = #fileID, line: Int = #line) throws -> [DirectoryEntry] {
    var buffer = [UInt8](repeating: 0, count: size)
    let answer = buffer.withUnsafeMutableBytes {
      trial.call("getdents64", SYS_getdents64, Int(number), $0.address, $0.count)
    }
    let count = try answer.ok(file: file, line: line)
    var list: [DirectoryEntry] = []
    buffer.withUnsafeBytes { bytes in
      var place = 0
      while place < count {
        let length = Int(bytes.loadUnaligned(fromByteOffset: place + 16, as: UInt16.self))
        let name = bytes[(place + 19)..<(place + length)].prefix { $0 != 0 }
        list.append(
          DirectoryEntry(
            name: Name(Array(name)), inode: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self),
            next: Int(bytes.loadUnaligned(fromByteOffset: place + 8, as: Int64.self)), type: bytes[place + 18]))
        place += length
      }
    }
    return list
  }

  /// All entries from here on.
  func allEntries(size: Int = 32768, file: StaticString = #fileID, line: Int = #line) throws -> [DirectoryEntry] {
    var all: [DirectoryEntry] = []
    while true {
      let some = try entries(size: size, file: file, line: line)
      if some.isEmpty { return all }
      all += some
    }
  }
}

extension Trial {
  /// The entries of a directory, with `.` and `..`.
  func entries(_ name: Name, file: StaticString = #fileID, line: Int = #line) throws -> [DirectoryEntry] {
    let directory = try open(name, O_RDONLY | O_DIRECTORY).file(file: file, line: line)
    let all = try directory.allEntries(file: file, line: line)
    directory.close().gives(0)
    return all
  }

  /// The names in a directory, sorted, without `.` and `..`.
  func list(_ name: Name, file: StaticString = #fileID, line: Int = #line) throws -> [Name] {
    try entries(name, file: file, line: line).map(\.name).filter { $0 != "." && $0 != ".." }.sorted()
  }

  /// Removes everything in a directory, also trees that are deeper than a path can be long.
  func removeAll(in name: Name) {
    guard let directory = try? open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).file() else { return }
    removeAll(in: directory)
    directory.close().gives(0)
  }

  private func removeAll(in directory: File) {
    guard let all = try? directory.allEntries() else { return }
    for entry in all where entry.name != "." && entry.name != ".." {
      if unlink(entry.name, in: directory).value == 0 { continue }
      if let inner = try? open(entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, in: directory).file() {
        removeAll(in: inner)
        inner.close().gives(0)
      }
      rmdir(entry.name, in: directory).gives(0)
    }
  }
}
