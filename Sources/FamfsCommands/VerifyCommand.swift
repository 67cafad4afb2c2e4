import CommandKit
import Famfs
import Platform

/// famfs verify
enum VerifyCommand: Command {
  static let name = "verify"
  static let synopsis = "--seed N --filename FILE\n       famfs verify --multi FILE,SEED ... [options]"
  static let about = """
    Check that files hold what creat --randomize --seed gave them. They may be on any file system.
    """
  static let options = [
    Option("S", "seed", "N", "the seed that the file was made with"),
    Option("f", "filename", "FILE", "the file"),
    Option("m", "multi", "FILE,SEED", "one of several files"),
    Option("t", "threads", "N", "with --multi: check so many at a time, 1 to 256 (1)"),
    Option("q", "quiet", nil, "print nothing when all is well"),
    Option("v", "verbose", nil, nil),
  ]
  static let examples = ["famfs verify -S 42 -f /mnt/fam/check", "famfs verify -t 2 -m /mnt/fam/a,1 -m /mnt/fam/b,2"]

  private struct Wanted: Sendable {
    let path: String
    let seed: UInt64
  }

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.isEmpty else { throw UsageError("name the file with --filename") }
    let threads = try arguments.number("threads", in: 1...256) ?? 1
    let isQuiet = arguments.has("quiet")
    let failures = Workers.run(threads: Int(threads), try wanted(arguments)) { wanted in
      let bytes = try check(wanted)
      if !isQuiet { printLine("Success: verified \(bytes) bytes in file \(wanted.path)") }
    }
    for failure in failures { printError("\(command): \(failure)") }
    return failures.isEmpty ? 0 : 1
  }

  private static func wanted(_ arguments: Arguments) throws -> [Wanted] {
    if arguments.has("multi") {
      if arguments.has("seed") || arguments.has("filename") {
        throw UsageError("--multi excludes --seed and --filename")
      }
      return try arguments.all("multi").map { text in
        guard let comma = text.lastIndex(of: ",") else { throw UsageError("--multi '\(text)' is not FILE,SEED") }
        let seed = try CreatCommand.parseSeed(String(text[text.index(after: comma)...]))
        return Wanted(path: String(text[..<comma]), seed: seed)
      }
    }
    guard let seed = arguments["seed"], let path = arguments["filename"] else {
      throw UsageError("give --seed and --filename, or --multi")
    }
    return [Wanted(path: path, seed: try CreatCommand.parseSeed(seed))]
  }

  /// Compares a file with what it should hold.
  /// - Returns: its size in bytes.
  private static func check(_ wanted: Wanted) throws -> UInt64 {
    guard wanted.seed != 0 else { throw FamfsError.other("\(wanted.path): seed 0 means none; give the file's own") }
    var contents = RandomContents(seed: wanted.seed)
    let pieces = (
      UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096),
      UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    )
    defer {
      pieces.0.deallocate()
      pieces.1.deallocate()
    }
    do {
      let file = try FileDescriptor(opening: wanted.path, [.readOnly, .nonBlocking])
      guard try file.status().kind == .regular else {
        throw FamfsError.other("\(wanted.path) is no regular file; name one that creat --randomize filled")
      }
      var offset: UInt64 = 0
      while true {
        let count = try file.read(at: offset, into: pieces.0)
        if count == 0 { return offset }
        let expected = UnsafeMutableRawBufferPointer(rebasing: pieces.1[..<count])
        contents.fill(expected)
        if let place = (0..<count).first(where: { pieces.0[$0] != expected[$0] }) {
          throw FamfsError.other(
            "\(wanted.path) differs from what seed \(wanted.seed) gives at offset \(offset + UInt64(place))")
        }
        offset += UInt64(count)
      }
    } catch let error as Errno {
      let remedy = error == .inputOutput ? "see what famfs fsck says of its device" : "name a file that can be read"
      throw FamfsError.other("\(wanted.path) cannot be read: \(error); \(remedy)")
    }
  }
}
