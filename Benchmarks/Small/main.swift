// Makes small files as programs do, and prints what that takes.
//
// usage: bench-small create DIRECTORY COUNT        seconds for so many files of 100 bytes: open, write, close
//        bench-small visible MASTER CLIENT COUNT   milliseconds, one line for each file, from the fsync of a file below
//                                                  MASTER until stat finds it below CLIENT, another mount of the volume
import Glibc
import Platform

let contents = [UInt8](repeating: 7, count: 100)

/// Makes a file of 100 bytes.
func make(_ path: String) throws -> FileDescriptor {
  let file = try FileDescriptor(opening: path, [.writeOnly, .create, .exclusive], mode: 0o644)
  guard contents.withUnsafeBytes({ write(file.rawValue, $0.baseAddress, $0.count) }) == contents.count else {
    throw Errno.current
  }
  return file
}

func create(in directory: String, count: Int) throws {
  let start = Clock.monotonic()
  for number in 0..<count { _ = try make("\(directory)/created-\(number)") }
  print(Double(Clock.monotonic() - start) / 1e9)
}

func visible(from master: String, on client: String, count: Int) throws {
  for number in 0..<count {
    // Else each would begin right after a look at the log.
    Clock.sleep(nanoseconds: .random(in: 0..<40_000_000))
    let file = try make("\(master)/shown-\(number)")
    let start = Clock.monotonic()
    guard fsync(file.rawValue) == 0 else { throw Errno.current }
    while access("\(client)/shown-\(number)", F_OK) != 0 {
      guard Clock.monotonic() - start < 10_000_000_000 else { throw Errno.noEntry }
      Clock.sleep(nanoseconds: 200_000)
    }
    print(Double(Clock.monotonic() - start) / 1e6)
  }
}

let arguments = CommandLine.arguments
do {
  if arguments.count == 4, arguments[1] == "create", let count = Int(arguments[3]) {
    try create(in: arguments[2], count: count)
  } else if arguments.count == 5, arguments[1] == "visible", let count = Int(arguments[4]) {
    try visible(from: arguments[2], on: arguments[3], count: count)
  } else {
    printError("usage: bench-small create DIRECTORY COUNT, or bench-small visible MASTER CLIENT COUNT")
    exit(1)
  }
} catch {
  printError("bench-small: \(error)")
  exit(1)
}
