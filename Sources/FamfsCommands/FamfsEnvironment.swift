import Famfs
import Platform

/// What the environment says to all commands of famfs.
package enum FamfsEnvironment {
  /// Checks it.
  /// - Throws: a sentence about the first variable that is wrong.
  package static func check() throws(FamfsError) {
    try checkMode()
    _ = try Strict.isAsked()
  }

  /// FAMFS_MODE says which famfs a script wants: this one, which works over FUSE, or the kernel module's.
  private static func checkMode() throws(FamfsError) {
    guard let mode = environment("FAMFS_MODE"), mode != "fuse" else { return }
    let problem = mode == "v1" ? "asks for a kernel module, and there is none" : "is no mode"
    throw .other("FAMFS_MODE=\(mode) \(problem); set it to fuse, or unset it")
  }
}
