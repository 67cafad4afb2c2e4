// Prints what it costs to play a log: microseconds and bytes of memory for each file, on one core.
//
// It makes a sparse device, fills its log with one-page files in directories of 100, then opens the volume several
// times as a mount does. usage: bench-replay DIRECTORY
// For other benchmarks it also fills an existing, unmounted volume: bench-replay fill DEVICE ENTRIES
// and tells how long copies from memory to memory take: bench-replay memcpy THREADS BYTES
import Famfs
import Glibc
import Memory
import Platform

func fill(_ volume: Volume, entries: UInt64) throws {
  var made: UInt64 = 0
  var directory = ""
  while made < entries {
    if made % 101 == 0 {
      directory = "dataset-\(made / 10100)/part-\(made)"
      if made % 10100 == 0 {
        try volume.makeDirectory(
          path: EntryPath("dataset-\(made / 10100)"), permissions: 0o755, userID: 0, groupID: 0)
        made += 1
        directory = "dataset-\(made / 10100)/part-\(made)"
      }
      if made == entries { break }
      try volume.makeDirectory(path: EntryPath(directory), permissions: 0o755, userID: 0, groupID: 0)
    } else {
      let path = try EntryPath("\(directory)/sample-\(made).bin")
      let id = try volume.reserve(path: path, size: 4096, permissions: 0o644, userID: 0, groupID: 0).id
      try volume.commit(id)
    }
    made += 1
  }
}

func measure(logLength: UInt64, entries: UInt64, in directory: String) throws {
  let path = "\(directory)/weft-bench-replay-\(getpid())"
  defer { unlink(path) }
  do {
    let file = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive])
    try file.truncate(to: (2 << 20) + logLength + (entries + 1) * 4096)
  }
  let host = UUID.random()
  var options = MakeOptions()
  options.logLength = logLength
  options.allocationUnit = 4096
  let device = try MappedDevice(path: path, writable: true)
  try Volume.make(on: device, host: host, options)
  do {
    let volume = try Volume(on: device, host: host)
    let start = Clock.monotonic()
    try fill(volume, entries: entries)
    let each = Double(Clock.monotonic() - start) / Double(entries) / 1000
    print("append     \(entries) entries: \(rounded(each)) us each, one writer, in the process")
  }
  var times: [Double] = []
  for _ in 0..<5 {
    let start = Clock.monotonic()
    let volume = try Volume(on: device, host: host)
    times.append(Double(Clock.monotonic() - start) / Double(entries) / 1000)
    let usage = volume.usage()
    precondition(usage.entries == entries && usage.problemCount == 0)
    print(
      "replay     \(usage.files) files, \(usage.directories) directories: "
        + "\(rounded(times.last ?? 0)) us and \(volume.memoryUse / Int(entries)) bytes each")
  }
  times.sort()
  print("replay     \(entries) entries, median of \(times.count): \(rounded(times[times.count / 2])) us each")
}

func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

/// How long threads take to copy so many bytes in all from memory to memory, pages at hand.
func copySeconds(threads: Int, bytes: Int) throws -> Double {
  let piece = 256 << 20
  let buffers = (0..<threads).map { _ in
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * piece, alignment: 4096)
    buffer.initializeMemory(as: UInt8.self, repeating: 1)
    return UInt(bitPattern: buffer.baseAddress)
  }
  let start = Clock.monotonic()
  let running = try buffers.map { address in
    try Thread(named: "memcpy") {
      guard let from = UnsafeMutableRawPointer(bitPattern: address) else { return }
      for _ in 0..<bytes / threads / piece { memcpy(from + piece, from, piece) }
    }
  }
  for thread in running { thread.join() }
  return Double(Clock.monotonic() - start) / 1e9
}

let arguments = CommandLine.arguments
if arguments.count == 4, arguments[1] == "fill", let entries = UInt64(arguments[3]) {
  let device = try MappedDevice(path: arguments[2], writable: true)
  try fill(try Volume(on: device, host: try HostIdentity.systemUUID()), entries: entries)
  exit(0)
}
if arguments.count == 4, arguments[1] == "memcpy", let threads = Int(arguments[2]), let bytes = Int(arguments[3]) {
  print(rounded(try copySeconds(threads: threads, bytes: bytes)))
  exit(0)
}
let directory = arguments.count > 1 ? arguments[1] : "/dev/shm"
try measure(logLength: 8 << 20, entries: 15_420, in: directory)
try measure(logLength: 256 << 20, entries: 493_447, in: directory)
