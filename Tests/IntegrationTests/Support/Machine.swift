import Foundation
import Platform
import Testing

/// What this machine can do.
enum Machine {
  /// Whether real mounts can be made.
  static let canMount = geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0

  /// Whether a user other than root can run the program.
  static let usersCanRun: Bool = {
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("famfs"), "--version"]
    return canMount && (try? run(words))?.status == 0
  }()

  /// Whether a user other than root can mount, through fusermount3.
  static let usersCanMount: Bool = {
    let names = ["/usr/bin/fusermount3", "/bin/fusermount3"]
    let isOpen = ((try? FileStatus(path: "/dev/fuse"))?.permissions ?? 0) & 0o006 == 0o006
    return usersCanRun && isOpen && names.contains { ((try? FileStatus(path: $0))?.permissions ?? 0) & 0o4000 != 0 }
  }()

  static let hasPython = canMount && has("python3")

  /// The project's folder.
  static let sources = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")

  /// Where `make build` leaves the program and its names.
  static let programs: String = ProcessInfo.processInfo.environment["WEFT_BIN"] ?? sources + "/bin"

  /// The folder of volumes that the public famfs wrote.
  static let fixtures = sources + "/Tests/FamfsTestSupport/Fixtures"

  /// A name as posix_spawnp(3) takes it.
  static func program(_ name: String) -> String {
    let ours = ["famfs", "mkfs.famfs", "famfs_fused", "mount.famfs", "kfs", "mkfs.kfs", "pcq", "weft"]
    return ours.contains(name) ? programs + "/" + name : name
  }

  static func has(_ program: String) -> Bool { (try? run(["sh", "-c", "command -v " + program]))?.status == 0 }

  /// Whether a process runs; one that has ended and waits for its parent does not.
  static func isRunning(_ pid: pid_t) -> Bool {
    guard let line = firstLine(of: "/proc/\(pid)/stat"), let end = line.lastIndex(of: ")") else { return false }
    if line[end...].dropFirst(2).first != "Z" { return true }
    // A thread of it may still be on its way out.
    return ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task"))?.count ?? 0) > 1
  }

  /// Whether all threads of a process have been stopped by a signal.
  static func isStopped(_ pid: pid_t) -> Bool {
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
    return !threads.isEmpty && threads.allSatisfy { processState(pid_t($0) ?? 0) == "T" }
  }

  /// Stops a process, and waits until all its threads stand still: until then some of them may answer requests.
  static func stop(_ pid: pid_t) throws {
    kill(pid, SIGSTOP)
    try #require(seconds(until: { isStopped(pid) }) != nil)
  }

  /// The daemons whose command line names something in a directory.
  static func daemons(in directory: String) -> [pid_t] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return all.compactMap { pid_t($0) }.filter { pid in
      guard let line = try? readSmallFile("/proc/\(pid)/cmdline") else { return false }
      let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      return words.first == "famfs_fused" && words.contains { $0.hasPrefix(directory + "/") } && isRunning(pid)
    }
  }

  /// What is mounted in a directory, in the order in which it came.
  static func mounts(in directory: String, type: String? = nil) -> [String] {
    ((try? Mount.all()) ?? []).filter { $0.mountPoint.hasPrefix(directory + "/") && $0.type == type ?? $0.type }
      .map(\.mountPoint)
  }
}

extension Trait where Self == ConditionTrait {
  /// Real mounts: root and /dev/fuse.
  static var realMounts: Self { .enabled(if: Machine.canMount, "needs root and /dev/fuse") }
}
