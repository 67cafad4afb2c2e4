import CYardstick
import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

@Suite(
  "Mounts whose users are mapped", .serialized, .enabled(if: canWatch, "needs root and Linux 6.18"),
  .timeLimit(.minutes(15)))
struct IdmapTests {
  private let allowIdmap = InitFlags(rawValue: 1 << 40)

  /// Makes a user namespace where user and group 0 are 65534 outside; a process keeps it while `body` runs.
  private func withUserNamespace(_ body: (borrowing FileDescriptor) throws -> Void) throws {
    let process = try Spawn.start("unshare", ["unshare", "--user", "sleep", "3600"])
    defer {
      kill(process, SIGKILL)
      _ = try? Spawn.wait(for: process)
    }
    let (own, folder) = (try FileStatus(path: "/proc/self/ns/user").inode, "/proc/\(process)")
    try #require(seconds(until: { (try? FileStatus(path: folder + "/ns/user").inode) != own }) != nil)
    for name in ["uid_map", "gid_map"] {
      try FileDescriptor(opening: "\(folder)/\(name)", .writeOnly).write("0 65534 1\n")
    }
    try body(try FileDescriptor(opening: folder + "/ns/user", .readOnly))
  }

  /// Shows a mount at another place with mapped users: open_tree(2), mount_setattr(2) and move_mount(2).
  /// - Returns: 0, or the error number with a minus sign.
  private func show(_ path: String, at place: String, _ space: borrowing FileDescriptor) -> Int {
    let number = space.rawValue
    let (openTree, moveMount, setAttributes): (Int32, Int32, Int32) = (428, 429, 442)
    let (closeOnExec, clone, emptyPath, fromEmptyPath) = (0o2000000, 1, 0x1000, 4)
    let (path, place) = (path.cFileName, place.cFileName)
    // `struct mount_attr` with MOUNT_ATTR_IDMAP.
    let attributes = Message().u64(0x10_0000).u64(0).u64(0).u64(UInt64(number)).bytes
    return path.withUnsafeBytes { path in
      place.withUnsafeBytes { place in
        attributes.withUnsafeBytes { attributes in
          let (empty, place) = (Int(bitPattern: path.baseAddress) + path.count - 1, Int(bitPattern: place.baseAddress))
          let start = Int(bitPattern: path.baseAddress)
          let tree = yard_call(Int(openTree), Int(AT_FDCWD), start, closeOnExec | clone, 0, 0, 0)
          if tree < 0 { return tree }
          defer { close(Int32(tree)) }
          let address = Int(bitPattern: attributes.baseAddress)
          let set = yard_call(Int(setAttributes), tree, empty, emptyPath, address, attributes.count, 0)
          return set < 0 ? set : yard_call(Int(moveMount), tree, empty, Int(AT_FDCWD), place, fromEmptyPath, 0)
        }
      }
    }
  }

  @Test("with ALLOW_IDMAP the user is told of what makes something only")
  func callers() throws {
    var options = WatchedMount.Options()
    options.added = allowIdmap
    try withWatched(options) { mount in
      guard mount.device.offered.contains(allowIdmap) else { try Test.cancel("this kernel does not offer ALLOW_IDMAP") }
      let script =
        "mkdir d; touch f; ln -s f s; mkfifo p; mv f g; cat g; chmod 600 g; ln g h; ls d; rm g h s p; rmdir d"
      let came = try mount.during { () throws in #expect(try shell(script, in: mount.path) == 0) }
      let making: Set<Opcode?> = [.mkdir, .create, .symlink, .mknod]
      #expect(making.isSubset(of: Set(came.operations)))
      let wrong = came.filter { request in
        let expected: UInt32 = making.contains(request.opcode) ? 0 : .max
        let caller = request.header.caller
        return caller.userID != expected || caller.groupID != expected || caller.processID == 0
      }
      #expect(wrong.operations == [])
    }
  }

  @Test("the user that makes something is the mapped one, and mounts without the flag are not mapped")
  func mapped() throws {
    for added in [allowIdmap, []] {
      var options = WatchedMount.Options()
      options.added = added
      try withWatched(options) { mount in
        try withUserNamespace { space in
          let place = try TemporaryDirectory()
          #expect(chmod(mount.path, 0o777) == 0)
          let result = show(mount.path, at: place.path, space)
          #expect(result == (added == [] ? -Int(EINVAL) : 0))
          guard result == 0 else { return }
          defer { umount2(place.path, 2) }
          let path = place.path + "/f"
          try asNobody { try FileDescriptor(opening: path, [.writeOnly, .create, .exclusive]).closed() }
          #expect(mount.device.seen(.create).map(\.header.caller.userID) == [0])
          // Who owns it depends on the way to it.
          #expect(try shell("test $(stat -c %u f) = 0", in: mount.path) == 0)
          #expect(try shell("test $(stat -c %u f) = 65534", in: place.path) == 0)
        }
      }
    }
  }
}
