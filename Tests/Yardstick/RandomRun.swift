import CYardstick
import Glibc

/// Random operations on a mount and on a model in memory, which must answer the same.
final class RandomRun {
  let t: Trial
  let seed: UInt64
  var random: Generator
  let root = ModelNode(.directory([:]), mode: 0o755)
  /// Files that are open, some of which have no name any more.
  var handles: [Handle] = []
  private var opened = 0
  private var log: [String] = []
  private var step = 0

  init(_ t: Trial, seed: UInt64) {
    self.t = t
    self.seed = seed
    random = Generator(seed: seed)
  }

  /// Runs as many operations, and compares everything each 500.
  func run(_ count: Int) throws {
    for number in 1...count {
      step = number
      try operate()
      if number % 500 == 0 { try compareAll() }
    }
    for handle in handles { handle.file.close().gives(0) }
    handles = []
    try compareAll()
  }

  /// An open file of a run.
  struct Handle {
    let number: Int
    let file: File
    let node: ModelNode
  }

  private func operate() throws {
    switch random.below(100) {
    case 0..<12: try create()
    case 12..<18: try mkdir()
    case 18..<22: try symlink()
    case 22..<29: try link()
    case 29..<43: try rename()
    case 43..<51: try unlink()
    case 51..<55: try rmdir()
    case 55..<66: try write()
    case 66..<71: try truncate()
    case 71..<76: try read()
    case 76..<82: try changeAttribute()
    case 82..<85: try chmod()
    case 85..<88: try setTimes()
    case 88..<92: try stat()
    case 92..<94: try list()
    case 94..<97: try openOrClose()
    default: try useHandle()
    }
  }

  // MARK: The script

  /// Adds a line to the script of what was done.
  func note(_ words: String) {
    log.append("\(step): \(words)")
    if log.count > 50 { log.removeFirst() }
  }

  func fail(_ words: String) -> Stop {
    let script = log.map { "\n    " + $0 }.joined()
    t.fail(
      "seed \(seed), operation \(step): \(words); the last operations and what they must give:\(script)",
      at: ("RandomRun", 0))
    return Stop()
  }

  /// Keeps a file open, under a number that the script has.
  func keep(_ file: File, _ node: ModelNode) {
    opened += 1
    handles.append(Handle(number: opened, file: file, node: node))
    note("that is #\(opened)")
  }

  /// Compares an answer with what the model says: 0, or an error number.
  func check(_ answer: Answer, _ expected: Int32, _ words: String) throws {
    let name = expected == 0 ? "ok" : String(cString: yard_error_name(expected))
    note("\(words)  # \(name)")
    let isSame = expected == 0 ? answer.value >= 0 : answer.value == -Int(expected)
    if !isSame {
      let found = answer.value >= 0 ? "success" : String(cString: yard_error_name(Int32(-answer.value)))
      throw fail("\(found) instead of \(name)")
    }
  }

  // MARK: Places

  /// A place for an entry: a directory and a name, or an error that every path through it has.
  struct Spot {
    let path: Name
    let parent: ModelNode
    let name: Name
    let error: Int32
    var node: ModelNode? { error == 0 ? parent.entries[name] : nil }
  }

  static let names: [Name] = [
    "a", "b", "c", "d", "e", "file", "another", "with space", "\u{e9}", Name([0xff, 0xfe]), Name(long: 255), "x.y",
  ]

  /// All directories with their paths, in an order that is always the same.
  func directories() -> [(path: String, node: ModelNode)] {
    var all: [(path: String, node: ModelNode)] = []
    func walk(_ path: String, _ node: ModelNode, _ bytes: [UInt8]) {
      all.append((path, node))
      paths.append(Name(bytes))
      for (name, child) in node.entries.sorted(by: { $0.key < $1.key }) where child.isDirectory {
        walk(path, child, bytes + [0x2f] + name.bytes)
      }
    }
    paths = []
    walk(".", root, [0x2e])
    return all
  }

  /// The paths of the directories that `directories` found last.
  private(set) var paths: [Name] = []

  func spot() -> Spot {
    let all = directories()
    let index = random.below(all.count)
    let node = all[index].node, path = paths[index]
    let name = Self.names[random.below(Self.names.count)]
    let others = node.entries.filter { !$0.value.isDirectory }.sorted { $0.key < $1.key }
    if random.below(25) == 0, !others.isEmpty {
      let through = others[random.below(others.count)]
      let error: Int32 = if case .link = through.value.content { ENOENT } else { ENOTDIR }
      return Spot(path: "\(path)/\(through.key)/\(name)", parent: node, name: name, error: error)
    }
    if random.below(60) == 0 { return Spot(path: "\(path)/none/\(name)", parent: node, name: name, error: ENOENT) }
    return Spot(path: "\(path)/\(name)", parent: node, name: name, error: 0)
  }

  /// A place, and more often than not one that is taken.
  func takenSpot() -> Spot {
    for _ in 0..<4 {
      let place = spot()
      if place.node != nil || place.error != 0 { return place }
    }
    return spot()
  }

  /// The error of a call that follows the name and works on a file only.
  func fileError(_ place: Spot) -> Int32 {
    if place.error != 0 { return place.error }
    switch place.node?.content {
    case nil, .link: return ENOENT  // Links here lead nowhere.
    case .directory: return EISDIR
    case .file: return 0
    }
  }

  /// The error of a call that follows the name and works on files and directories.
  func anyError(_ place: Spot) -> Int32 {
    let error = fileError(place)
    return error == EISDIR ? 0 : error
  }

  /// Bytes of a size that is often about that of a block.
  func someBytes() -> [UInt8] {
    let sizes = [1, 10, 100, 511, 4095, 4096, 4097, 6000, 10_000]
    return pattern(sizes[random.below(sizes.count)], seed: random.below(1000))
  }
}
