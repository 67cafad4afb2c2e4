import Glibc
import Platform

/// Starts a daemon: this program by another name, in the background.
/// - Parameter words: its name and its arguments. It gets `--ready 3` as the first one, and says on that descriptor whether
///   it is up; see `DaemonAnswer`.
/// - Returns: the lines that it says; none when it ended without a word.
package func startDaemon(_ words: [String]) throws(Errno) -> [String] {
  let pipe = try Spawn.pipe()
  let reading = FileDescriptor(owning: pipe.reading)
  var options = Spawn.Options()
  options.extraDescriptor = pipe.writing
  options.isDaemon = true
  var all = words
  all.insert(contentsOf: ["--ready", "3"], at: 1)
  do throws(Errno) { _ = try Spawn.start("/proc/self/exe", all, options) } catch {
    close(pipe.writing)
    throw error
  }
  close(pipe.writing)  // the daemon's end alone keeps the pipe open
  var answer: [UInt8] = []
  let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
  defer { piece.deallocate() }
  while true {
    let count = try reading.read(into: piece)
    if count == 0 { break }
    answer.append(contentsOf: piece[..<count])
  }
  return String(decoding: answer, as: UTF8.self).split(separator: "\n").map(String.init)
}

/// What a daemon says to the command that started it; said once, then the pipe is closed.
package final class DaemonAnswer {
  private var file: FileDescriptor?

  /// An answer over this pipe.
  package init(_ file: consuming FileDescriptor) { self.file = consume file }

  /// Gives it; nothing is said a second time.
  package func give(_ text: String) throws(Errno) {
    guard let file = file.take() else { return }
    try file.write(text)
  }
}
