import Foundation
import Platform

/// What a program said and how it ended.
public struct Outcome: Sendable {
  /// Its exit status.
  public let status: Int32
  /// What it wrote to its standard output.
  public let output: [UInt8]
  /// What it wrote to its standard error.
  public let complaints: String

  /// Its output as text.
  public var text: String { String(decoding: output, as: UTF8.self) }
}

/// A test's own directory in shared memory. When it goes it leaves nothing: no mount, no loop device, no file.
public final class TestFolder: Sendable {
  /// The directory.
  public let path: String

  /// Makes one.
  public init() throws {
    var template = Array("/dev/shm/weft-ext4-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw Errno.current }
    path = String(cString: made)
    chmod(path, 0o755)
  }

  deinit {
    unmountAll()
    try? FileManager.default.removeItem(atPath: path)
  }

  /// A path in it.
  public func at(_ name: String) -> String { path + "/" + name }

  /// A path of a new directory in it.
  public func directory(_ name: String) -> String {
    mkdir(at(name), 0o755)
    return at(name)
  }

  /// Unmounts whatever is mounted in it, the last first.
  public func unmountAll() {
    let mounts = (try? readSmallFile("/proc/self/mounts", limit: 1 << 22)) ?? []
    let places = String(decoding: mounts, as: UTF8.self).split(separator: "\n").compactMap {
      $0.split(separator: " ").dropFirst().first.map(String.init)
    }
    for place in places.reversed() where place.hasPrefix(path + "/") { umount2(place, 2) }  // MNT_DETACH
  }
}

/// Runs a program, found in PATH or /usr/sbin, to its end.
/// - Parameter input: what it reads from its standard input.
@discardableResult
public func runTool(_ words: [String], input: String = "") throws -> Outcome {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = ["PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC0"] + words
  let (output, complaints, source) = (Pipe(), Pipe(), Pipe())
  (process.standardOutput, process.standardError) = (output, complaints)
  process.standardInput = input.isEmpty ? FileHandle.nullDevice : source
  try process.run()
  nonisolated(unsafe) var said = Data()
  let reader = try Thread(named: "test-complaints") { said = complaints.fileHandleForReading.readDataToEndOfFile() }
  if !input.isEmpty {
    let writing = source.fileHandleForWriting
    try Thread.detached(named: "test-input") {
      try? writing.write(contentsOf: Data(input.utf8))
      try? writing.close()
    }
  }
  let told = output.fileHandleForReading.readDataToEndOfFile()
  reader.join()
  process.waitUntilExit()
  return Outcome(
    status: process.terminationStatus, output: Array(told), complaints: String(decoding: said, as: UTF8.self))
}

/// Runs a program that must succeed.
/// - Returns: its output.
@discardableResult
public func must(_ words: [String], input: String = "") throws -> String {
  let outcome = try runTool(words, input: input)
  guard outcome.status == 0 else {
    throw SentenceError("\(words.joined(separator: " ")): status \(outcome.status): \(outcome.complaints)")
  }
  return outcome.text
}

/// What this machine has.
public enum Machine {
  /// Whether the tools of e2fsprogs are installed.
  public static let hasE2fsprogs =
    (try? runTool(["mke2fs", "-V"]))?.status == 0 && (try? runTool(["debugfs", "-V"]))?.status == 0

  /// Whether ext4 images can be mounted by the kernel, through a loop device.
  public static let canLoop: Bool = {
    guard hasE2fsprogs, geteuid() == 0, let folder = try? TestFolder() else { return false }
    let (image, place) = (folder.at("image"), folder.directory("mount"))
    return (try? must(["mke2fs", "-q", "-F", "-t", "ext4", image, "4M"])) != nil
      && (try? runTool(["mount", "-o", "loop", image, place]))?.status == 0
  }()
}

extension FileDescriptor {
  /// The bytes at a position; fewer than asked for at the file's end.
  public func contents(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    var failure: Errno?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      do throws(Errno) { done = try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer)) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
