import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform

/// famfs flush
enum FlushCommand: Command {
  static let name = "flush"
  static let synopsis = "[options] FILE..."
  static let about = """
    Write files' changed bytes back to the memory, and forget what this host has cached of them.

    Before another host reads them, where the hardware does not keep caches coherent; and on the host that is going to.
    """
  static let options = [Option("v", "verbose", nil, "print a line for each file")]
  static let goesOn = true
  static let examples = ["famfs flush /mnt/fam/queue"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard !arguments.operands.isEmpty else { throw UsageError("name a file to flush") }
    return forEachPath(arguments) { operand, path in
      try flush(operand, path)
      if arguments.has("verbose") { printLine("\(command): flushed \(operand)") }
    }
  }

  private static func flush(_ operand: String, _ path: VolumePath) throws {
    if path.path.isEmpty { throw FamfsError.other("\(operand) is a directory; name files") }
    let client = try ControlClient(to: path.mount)
    guard case .mapped(let layout, let size) = try client.ask(.map(path.path)) else { throw ControlClient.nonsense }
    do {
      // The page cache first, into the memory; then out of it.
      try emptyPageCache(of: path.absolute)
      let devices = try client.devices()
      try layout.forEachRange(size: size) { range, _ in
        let device = try devices.memory(of: range)
        try device.writeBack(at: range.offset, count: range.length)
        try device.sync(at: range.offset, count: range.length)
        try device.invalidate(at: range.offset, count: range.length)
      }
      try devices[0].fence()  // of this CPU, for all devices
      // Only now what is mapped, or kept for good by --cache always: whoever looks next reads the memory again.
      try client.ask(.forget(path.path))
    } catch let error as Errno {
      throw FamfsError.memory(operand, error)
    }
  }
}
