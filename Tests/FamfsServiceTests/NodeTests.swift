import ControlChannel
import Famfs
import FamfsControl
import Glibc
import Platform
import Serving
import Testing

@testable import FamfsService
@testable import Fuse

/// What a mount says of nodes, asked as the session asks.
@Suite(.timeLimit(.minutes(15)))
struct NodeTests {
  private func make(_ files: some FileSystem, _ flags: Int32) throws(Errno) -> Entry {
    let intent = OpenIntent(flags: UInt32(O_RDWR | O_CREAT | flags))
    return try files.create(
      ".alloc.cfg".utf8.span.bytes, in: .meta, NewNode(mode: 0o644), intent,
      Caller(userID: 0, groupID: 0, processID: 1)
    ).entry
  }

  @Test(".alloc.cfg is made once: the kernel looks again for one that is there, and cuts it as it was asked to")
  func madeTwice() throws {
    let rig = try Rig()
    let file = try make(rig.files, O_EXCL).node
    try rig.write([1, 2, 3], to: file, at: 0)
    #expect(throws: Errno.exists) { try make(rig.files, O_EXCL) }
    #expect(throws: Errno.exists) { try make(rig.files, O_EXCL | O_TRUNC) }
    for flags in [0, O_TRUNC] {
      #expect(throws: Errno.stale) { try make(rig.files, flags) }
      #expect(try rig.read(file) == [1, 2, 3])
    }
    // What the kernel does then for O_TRUNC.
    #expect(try rig.files.lookup(".alloc.cfg".utf8.span.bytes, in: .meta, rig.user).node == file)
    _ = try rig.files.open(file, OpenIntent(flags: UInt32(O_RDWR)), rig.user)
    var changes = AttributeChanges()
    changes.size = 0
    #expect(try rig.files.setattr(file, nil, changes, rig.user).attributes.size == 0)
  }

  @Test("a commit that fails is told of once and tried again, and nothing is kept of it when the file is gone")
  func failedCommits() throws {
    let rig = try Rig(delay: 0)
    let file = try rig.create("f", holding: [1])
    // Another host made the name: it cannot be committed.
    let taken = try rig.volume.reserve(path: EntryPath("f"), size: 1, permissions: 0, userID: 0, groupID: 0)
    _ = try rig.volume.commit(taken.id)
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    let first = try #require(rig.staging.withTree { $0.due[file] })
    rig.staging.commitDue(by: first)
    let second = try #require(rig.staging.withTree { $0.due[file] })
    #expect(second == first + 1_000_000_000)
    #expect(rig.staging.withTree { $0[file]?.wasPutOff } == true)
    rig.staging.commitDue(by: second)
    #expect(rig.staging.withTree { $0.due[file] } == second + 1_000_000_000)
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    rig.files.forget(file, 1)
    #expect(rig.staging.isIdle)
  }

  @Test("a name that is longer than any path is too long in every call")
  func longNames() throws {
    let rig = try Rig()
    let long = [UInt8](repeating: 120, count: 80)
    let (files, user) = (rig.files, rig.user)
    #expect(throws: Errno.nameTooLong) { try files.lookup(long.span.bytes, in: .root, user) }
    _ = try rig.create("f")
    #expect(throws: Errno.nameTooLong) { try files.lookup(long.span.bytes, in: .root, user) }
    #expect(throws: Errno.nameTooLong) { try files.unlink(long.span.bytes, in: .root, user) }
    #expect(throws: Errno.nameTooLong) { try files.rmdir(long.span.bytes, in: .root, user) }
    #expect(throws: Errno.nameTooLong) { try files.mkdir(long.span.bytes, in: .root, NewNode(mode: 0o755), user) }
    for (old, new) in [(long, Array("g".utf8)), (Array("f".utf8), long)] {
      #expect(throws: Errno.nameTooLong) {
        try files.rename(old.span.bytes, in: .root, to: new.span.bytes, in: .root, [], user)
      }
    }
    let longest = Array(long.dropLast())
    #expect(throws: Errno.noEntry) { try files.lookup(longest.span.bytes, in: .root, user) }
  }

  @Test("the page cache is left out by what was agreed with the kernel, whatever its version")
  func cachePolicy() throws {
    let settings = LiveSettings(coherence: .noncoherent)
    let files = FamfsFileSystem(volume: try Rig().volume, folder: "", settings: settings)
    files.began(Agreement(minor: 46, flags: []))
    #expect(settings.cache == .auto)
    files.began(Agreement(minor: 31, flags: .directIOAllowMmap))
    #expect(settings.cache == .never)
    settings.cache = .always
    #expect(settings.cache == .always)
    #expect(LiveSettings(cache: .auto, coherence: .noncoherent).cache == .auto)
    let coherent = LiveSettings()
    coherent.mapsDirectFiles = true
    #expect(coherent.cache == .auto)
  }
}
