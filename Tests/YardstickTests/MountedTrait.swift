import Foundation
import Fuse
import FuseTestSupport
import Platform
import Testing
import Yardstick

/// Lends a suite a mount for all of its tests, and removes it behind them.
struct MountedTrait: SuiteTrait, TestScoping {
  /// Which file system is mounted.
  enum Kind {
    /// tmpfs: a mount of its own as root, else a directory in /dev/shm.
    case tmpfs
    /// ext4 on a loop device over a file in /dev/shm.
    case ext4
    /// The directory that WEFT_YARDSTICK_DIR names.
    case named
    /// `MemoryFileSystem` over /dev/fuse.
    case memory(FileSystemTraits)
  }

  /// The mount of the suite that runs.
  @TaskLocal static var target: YardstickTarget?

  let kind: Kind

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let place = try Place()
    defer { place.remove() }
    if case .memory(let traits) = kind {
      return try await MemoryMount.whileMounted(on: place.mount, traits) { target in
        try await MountedTrait.$target.withValue(target) { try await function() }
      }
    }
    let target = try place.target(kind)
    try await MountedTrait.$target.withValue(target) { try await function() }
  }

  func prepare(for test: Test) async throws {
    switch kind {
    case .ext4 where !Self.canMountExt4: try Test.cancel("ext4 needs root, a loop device and mkfs.ext4")
    case .named where Self.namedDirectory == nil: try Test.cancel("WEFT_YARDSTICK_DIR names no directory")
    case .memory where geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) != 0:
      try Test.cancel("a FUSE mount for other users needs root and /dev/fuse")
    case .memory where !isKernel(atLeast: 6, 18):
      try Test.cancel("what FUSE has is known of Linux 6.18 and newer")
    default: break
    }
  }

  static let namedDirectory = ProcessInfo.processInfo.environment["WEFT_YARDSTICK_DIR"]

  /// Whether root can mount an ext4 here.
  static let canMountExt4: Bool = {
    let known = (try? readSmallFile("/proc/filesystems")).map { String(decoding: $0, as: UTF8.self) } ?? ""
    let hasLoop = access("/dev/loop-control", R_OK | W_OK) == 0
    return geteuid() == 0 && hasLoop && known.contains("\text4\n")
      && (try? command("command -v mkfs.ext4 > /dev/null", in: "/")) != nil
  }()
}

extension Trait where Self == MountedTrait {
  static func yardstick(_ kind: MountedTrait.Kind) -> MountedTrait { MountedTrait(kind: kind) }
}

/// A directory in /dev/shm for a mount.
private struct Place {
  let path: String
  var mount: String { path + "/mount" }

  init() throws {
    var template = Array("/dev/shm/weft-yardstick-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Errno.current }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, 0o755)
    mkdir(path + "/mount", 0o755)
  }

  func target(_ kind: MountedTrait.Kind) throws -> YardstickTarget {
    switch kind {
    case .tmpfs:
      if geteuid() == 0 { try command("mount -t tmpfs -o size=1g,mode=755 none mount", in: path) }
      return known(.tmpfs(at: mount))
    case .ext4:
      try command("truncate -s 1G image && mkfs.ext4 -q -F -b 4096 -I 256 image && mount -o loop image mount", in: path)
      return known(.ext4(at: mount))
    case .named:
      return known(named(MountedTrait.namedDirectory ?? mount))
    case .memory(let traits):
      return known(.memory(at: mount, traits))
    }
  }

  /// Without root its features are missing.
  private func known(_ target: YardstickTarget) -> YardstickTarget {
    var target = target
    if geteuid() != 0 { target.features.subtract([.root, .trustedAttributes]) }
    return target
  }

  /// A directory of which the environment says what it is: WEFT_YARDSTICK_TYPE is `tmpfs` or `ext4`, and
  /// WEFT_YARDSTICK_LACKS lists features, separated by commas.
  private func named(_ directory: String) -> YardstickTarget {
    let environment = ProcessInfo.processInfo.environment
    var target =
      switch environment["WEFT_YARDSTICK_TYPE"] {
      case "tmpfs": YardstickTarget.tmpfs(at: directory)
      case "ext4": YardstickTarget.ext4(at: directory)
      default: YardstickTarget(name: directory, directory: directory)
      }
    for word in (environment["WEFT_YARDSTICK_LACKS"] ?? "").split(separator: ",") {
      guard let feature = YardstickFeature(rawValue: String(word)) else {
        Issue.record("WEFT_YARDSTICK_LACKS: there is no feature \(word)")
        continue
      }
      target.features.remove(feature)
    }
    return target
  }

  /// Whatever the tests did, nothing is left.
  func remove() {
    // Detached, so that a case that failed cannot hold it.
    while umount2(mount, 2) == 0 {}
    rmdir(mount)
    unlink(path + "/image")
    rmdir(path)
  }
}

/// Runs a shell command in a directory; it must succeed.
private func command(_ script: String, in directory: String) throws {
  let status = try Spawn.wait(for: Spawn.start("sh", ["sh", "-c", "cd \"$0\" && { \(script); }", directory]))
  if status != 0 { throw CommandFailure(description: "\(script): exit status \(status)") }
}

private struct CommandFailure: Error, CustomStringConvertible {
  let description: String
}
