import CommandKit
import Famfs
import FamfsControl
import Platform

/// What an operand names that may be a path in a mounted famfs or a device.
enum VolumeOperand {
  /// The mount that the path lies in; it has been asked nothing.
  case mount(Mount)
  /// Whatever else it is: no famfs mount that can be seen here has it as its device.
  case device(String)

  /// Finds out which.
  /// - Parameter remedy: what to do about a device that is mounted.
  /// - Throws: a sentence, when it is a device that is mounted.
  init(_ operand: String, remedy: String = "name that path") throws(FamfsError) {
    if let mount = MountedVolume.around(operand) {
      self = .mount(mount)
      return
    }
    if let mount = MountedVolume.of(device: operand).first {
      throw .other("\(operand) is mounted at \(mount.mountPoint); \(remedy)")
    }
    self = .device(operand)
  }
}

extension Command {
  /// Does something for each operand, which must be a path in a mounted famfs. One that fails is told of, and the rest
  /// go on.
  /// - Returns: the exit status: 1 when any failed.
  static func forEachPath(_ arguments: Arguments, _ body: (_ operand: String, VolumePath) throws -> Void) -> Int32 {
    forEachOperand(arguments) { operand in try body(operand, VolumePath(operand)) }
  }
}
