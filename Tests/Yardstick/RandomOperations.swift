import CYardstick
import Glibc

/// The operations on names.
extension RandomRun {
  func create() throws {
    let place = spot()
    let mode = [0o600, 0o644, 0o755, 0o666][random.below(4)]
    let error = place.error != 0 ? place.error : place.node != nil ? EEXIST : 0
    let answer = t.open(place.path, O_CREAT | O_EXCL | O_RDWR, mode)
    try check(answer, error, "open \(place.path) O_CREAT|O_EXCL \(String(mode, radix: 8))")
    if error != 0 { return }
    let node = ModelNode(.file([]), mode: UInt32(mode))
    place.parent.entries[place.name] = node
    let file = try answer.file()
    if handles.count < 6 && random.below(3) == 0 { keep(file, node) } else { file.close().gives(0) }
  }

  func mkdir() throws {
    if directories().count > 25 { return try rmdir() }
    let place = spot()
    let error = place.error != 0 ? place.error : place.node != nil ? EEXIST : 0
    try check(t.mkdir(place.path, 0o755), error, "mkdir \(place.path)")
    if error != 0 { return }
    let node = ModelNode(.directory([:]), mode: 0o755)
    node.parent = place.parent
    place.parent.entries[place.name] = node
  }

  func symlink() throws {
    let place = spot()
    let target = Name("nowhere/" + String(repeating: "t", count: random.below(120)))
    let error = place.error != 0 ? place.error : place.node != nil ? EEXIST : 0
    try check(t.symlink(target, place.path), error, "symlink \(target) \(place.path)")
    if error == 0 { place.parent.entries[place.name] = ModelNode(.link(target), mode: 0o777) }
  }

  func link() throws {
    if !t.has(.hardLinks) { return }
    let old = takenSpot(), new = spot()
    var error = old.error != 0 ? old.error : old.node == nil ? ENOENT : new.error
    if error == 0 && new.node != nil { error = EEXIST }
    if error == 0 && old.node?.isDirectory == true { error = EPERM }
    try check(t.link(old.path, new.path), error, "link \(old.path) \(new.path)")
    guard error == 0, let node = old.node else { return }
    node.links += 1
    new.parent.entries[new.name] = node
  }

  func rename() throws {
    let old = takenSpot(), new = random.below(3) == 0 ? takenSpot() : spot()
    let choice = random.below(6)
    let noReplace = choice == 0 && t.has(.noReplace), exchange = choice == 1 && t.has(.exchange)
    let error =
      old.error != 0
      ? old.error
      : new.error != 0
        ? new.error
        : ModelNode.renameError(
          old.node, in: old.parent, to: new.node, in: new.parent, noReplace: noReplace, exchange: exchange)
    let flags = noReplace ? YARD_RENAME_NOREPLACE : exchange ? YARD_RENAME_EXCHANGE : 0
    let word = noReplace ? " NOREPLACE" : exchange ? " EXCHANGE" : ""
    try check(t.rename(old.path, new.path, flags: flags), error, "rename \(old.path) \(new.path)\(word)")
    guard error == 0, let node = old.node, node !== new.node else { return }
    let replaced = new.node
    old.parent.entries[old.name] = exchange ? replaced : nil
    new.parent.entries[new.name] = node
    if node.isDirectory { node.parent = new.parent }
    guard let replaced else { return }
    if exchange {
      if replaced.isDirectory { replaced.parent = old.parent }
    } else {
      replaced.links -= 1
    }
  }

  func unlink() throws {
    let place = takenSpot()
    let error =
      place.error != 0 ? place.error : place.node == nil ? ENOENT : place.node?.isDirectory == true ? EISDIR : 0
    try check(t.unlink(place.path), error, "unlink \(place.path)")
    if error != 0 { return }
    place.node?.links -= 1
    place.parent.entries[place.name] = nil
  }

  func rmdir() throws {
    let place = takenSpot()
    var error = place.error != 0 ? place.error : place.node == nil ? ENOENT : 0
    if error == 0, let node = place.node { error = !node.isDirectory ? ENOTDIR : node.entries.isEmpty ? 0 : ENOTEMPTY }
    try check(t.rmdir(place.path), error, "rmdir \(place.path)")
    if error == 0 { place.parent.entries[place.name] = nil }
  }
}

/// The operations on contents and attributes.
extension RandomRun {
  /// What a write at an offset makes of some bytes.
  static func written(_ data: [UInt8], at offset: Int, over old: [UInt8]) -> [UInt8] {
    var bytes = old
    if bytes.count < offset + data.count { bytes += [UInt8](repeating: 0, count: offset + data.count - bytes.count) }
    bytes.replaceSubrange(offset..<(offset + data.count), with: data)
    return bytes
  }

  static func cut(_ old: [UInt8], to size: Int) -> [UInt8] {
    Array(old.prefix(size)) + [UInt8](repeating: 0, count: max(0, size - old.count))
  }

  func write() throws {
    let place = takenSpot()
    let data = someBytes(), offset = random.below(20_000)
    let answer = t.open(place.path, O_WRONLY)
    let error = fileError(place)
    try check(answer, error, "write \(data.count) bytes at \(offset) of \(place.path)")
    guard error == 0, let node = place.node else { return }
    let file = try answer.file()
    file.pwrite(data, at: offset).gives(data.count)
    file.close().gives(0)
    node.bytes = Self.written(data, at: offset, over: node.bytes)
  }

  func truncate() throws {
    let place = takenSpot()
    let size = random.below(25_000)
    let error = fileError(place)
    try check(t.truncate(place.path, size), error, "truncate \(place.path) to \(size)")
    if error == 0, let node = place.node, node.size != size { node.bytes = Self.cut(node.bytes, to: size) }
  }

  func read() throws {
    let place = takenSpot()
    let answer = t.open(place.path, O_RDONLY)
    let error = fileError(place)
    try check(answer, error == EISDIR ? 0 : error, "read \(place.path)")
    if answer.value < 0 { return }
    let file = try answer.file()
    if error == 0, let node = place.node {
      let offset = random.below(20_000), count = 1 + random.below(10_000)
      let found = try file.pread(count, at: offset)
      if found != Array(node.bytes.dropFirst(offset).prefix(count)) {
        throw fail("\(count) bytes at \(offset) of \(place.path) are others")
      }
    }
    file.close().gives(0)
  }

  func changeAttribute() throws {
    if !t.has(.userAttributes) { return }
    let place = takenSpot()
    let name: Name = ["user.a", "user.b", "user.c"][random.below(3)]
    var error = anyError(place)
    let old = place.node?.attributes[name]
    if random.below(3) == 0 {
      if error == 0 && old == nil { error = ENODATA }
      try check(t.removexattr(place.path, name), error, "removexattr \(place.path) \(name)")
      if error == 0 { place.node?.attributes[name] = nil }
      return
    }
    let flags = [0, 0, YARD_XATTR_CREATE, YARD_XATTR_REPLACE][random.below(4)]
    if error == 0 && flags == YARD_XATTR_CREATE && old != nil { error = EEXIST }
    if error == 0 && flags == YARD_XATTR_REPLACE && old == nil { error = ENODATA }
    let value = pattern(random.below(200), seed: random.below(1000))
    let words = "setxattr \(place.path) \(name) to \(value.count) bytes, flags \(flags)"
    try check(t.setxattr(place.path, name, value, flags: flags), error, words)
    if error == 0 { place.node?.attributes[name] = value }
  }

  func chmod() throws {
    let place = takenSpot()
    let mode = place.node?.isDirectory == true ? 0o755 : [0o600, 0o644, 0o755, 0o1700, 0o666][random.below(5)]
    let error = anyError(place)
    try check(t.chmod(place.path, mode), error, "chmod \(place.path) \(String(mode, radix: 8))")
    if error == 0 { place.node?.mode = UInt32(mode) }
  }

  func setTimes() throws {
    let place = takenSpot()
    let seconds = Int64(random.below(1 << 31))
    let error = anyError(place)
    let answer = t.utimens(place.path, access: nil, modification: Time(seconds))
    try check(answer, error, "set mtime of \(place.path) to \(seconds)")
    if error == 0 { place.node?.modified = seconds }
  }

  func stat() throws {
    let place = takenSpot()
    let error = place.error != 0 ? place.error : place.node == nil ? ENOENT : 0
    try check(t.stating(place.path, follow: false), error, "stat \(place.path)")
    if error == 0, let node = place.node { try compare(place.path, node) }
  }

  func list() throws {
    let all = directories()
    let index = random.below(all.count)
    note("list \(paths[index])")
    try compareList(paths[index], all[index].node)
  }

  func openOrClose() throws {
    if handles.count < 6 && random.below(2) == 0 {
      let place = takenSpot()
      let answer = t.open(place.path, O_RDWR)
      let error = fileError(place)
      try check(answer, error, "open \(place.path) O_RDWR")
      if error == 0, let node = place.node { keep(try answer.file(), node) }
    } else if !handles.isEmpty {
      let handle = handles.remove(at: random.below(handles.count))
      try check(handle.file.close(), 0, "close #\(handle.number)")
    }
  }

  func useHandle() throws {
    guard !handles.isEmpty else { return }
    let handle = handles[random.below(handles.count)]
    let file = handle.file, node = handle.node
    switch random.below(3) {
    case 0:
      let data = someBytes(), offset = random.below(20_000)
      try check(file.pwrite(data, at: offset), 0, "pwrite \(data.count) bytes at \(offset) of #\(handle.number)")
      node.bytes = Self.written(data, at: offset, over: node.bytes)
    case 1:
      let size = random.below(25_000)
      try check(file.truncate(size), 0, "ftruncate #\(handle.number) to \(size)")
      node.bytes = Self.cut(node.bytes, to: size)
    default:
      note("read and fstat #\(handle.number)")
      if try file.pread(60_000, at: 0) != node.bytes { throw fail("contents of #\(handle.number) are others") }
      let about = try file.stat()
      if about.links != node.links {
        throw fail("#\(handle.number) has \(about.links) links, not \(node.links)")
      }
    }
  }
}

/// Comparing the mount with the model.
extension RandomRun {
  func compareAll() throws {
    let all = directories()
    for (index, path) in paths.enumerated() {
      let node = all[index].node
      try compareList(path, node)
      for (name, child) in node.entries.sorted(by: { $0.key < $1.key }) {
        try compare("\(path)/\(name)", child)
        try compareContents("\(path)/\(name)", child)
      }
    }
  }

  func compareList(_ path: Name, _ node: ModelNode) throws {
    let found = try t.list(path), expected = node.entries.keys.sorted()
    if found != expected { throw fail("\(path) has \(found), expected \(expected)") }
  }

  func compare(_ path: Name, _ node: ModelNode) throws {
    let about = try t.lstat(path)
    if about.mode != node.type | node.mode { throw fail("\(path) has mode \(String(about.mode, radix: 8))") }
    if !node.isDirectory && about.size != UInt64(node.size) {
      throw fail("\(path) has \(about.size) bytes, not \(node.size)")
    }
    if let links = node.linkCount(countingDirectories: t.has(.directoryLinkCounts)), about.links != links {
      throw fail("\(path) has \(about.links) links, not \(links)")
    }
    if let modified = node.modified, about.modified != Time(modified) {
      throw fail("\(path) has mtime \(about.modified), not \(modified)")
    }
  }

  private func compareContents(_ path: Name, _ node: ModelNode) throws {
    switch node.content {
    case .file(let bytes): if try t.contents(path) != bytes { throw fail("contents of \(path) are others") }
    case .link(let target):
      if t.readlink(path).bytes != target.bytes { throw fail("\(path) leads elsewhere") }
      return
    case .directory: break
    }
    if !t.has(.userAttributes) { return }
    let names = t.listxattr(path).names
    if names != node.attributes.keys.sorted() { throw fail("\(path) has the attributes \(names)") }
    for (name, value) in node.attributes where t.getxattr(path, name).value != value {
      throw fail("\(name) of \(path) is another")
    }
  }
}
