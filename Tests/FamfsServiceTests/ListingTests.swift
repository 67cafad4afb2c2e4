import ControlChannel
import Famfs
import FamfsControl
import Fuse
import Glibc
import Platform
import Serving
import Testing

@testable import FamfsService

/// Listings of directories in which files come, go and are committed meanwhile, and what users may hold.
@Suite(.timeLimit(.minutes(15)))
struct ListingTests {
  @Test(
    "what stays in a directory is listed once, whatever is made, removed, renamed and committed meanwhile",
    arguments: 1...30)
  func changing(_ seed: UInt64) throws {
    let rig = try Rig()
    var generator = Generator(state: seed)
    func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
    let folder = try rig.files.mkdir("d".utf8.span.bytes, in: .root, NewNode(mode: 0o755), rig.user).node
    var ids: [String: NodeID] = [:]
    func make(_ name: String) throws { ids[name] = try rig.create(name, in: folder) }
    for count in 0..<40 { try make("f\(count)") }
    for name in ids.keys.sorted() where random(3) == 0 { try rig.staging.commit(#require(ids[name]), evenOpen: true) }
    let handle = try rig.files.opendir(folder, OpenIntent(flags: 0), rig.user).handle
    for round in 0..<3 {
      // Those that nothing is done to: the others may be listed or not.
      var staying = Set(ids.keys)
      var listed: [DirectoryReply.Listed] = []
      var cookie: UInt64 = 0
      while true {
        let piece = try rig.piece(of: folder, handle, from: cookie, room: 40 + random(150))
        guard let last = piece.last else { break }
        listed += piece
        cookie = last.next
        for step in 0..<random(4) {
          let name = try #require(ids.keys.sorted().randomElement(using: &generator))
          let id = try #require(ids[name])
          let isCommitted = rig.staging.withTree { $0[id]?.committed != nil }
          switch random(6) {
          case 0...2: try rig.staging.commit(id, evenOpen: true)
          case 3: try make("new\(round).\(listed.count).\(step)")
          case 4 where !isCommitted:
            try rig.files.unlink(name.utf8.span.bytes, in: folder, rig.user)
            (ids[name], _) = (nil, staying.remove(name))
          case 5 where !isCommitted:
            let new = "r\(round).\(listed.count).\(step)"
            try rig.files.rename(name.utf8.span.bytes, in: folder, to: new.utf8.span.bytes, in: folder, [], rig.user)
            (ids[new], ids[name], _) = (id, nil, staying.remove(name))
          default: break
          }
        }
      }
      let names = listed.map(\.name)
      #expect(Set(names).count == names.count, "seed \(seed): \(names.sorted()) has something twice")
      #expect(staying.isSubset(of: names), "seed \(seed): \(staying.subtracting(names)) is not listed")
      // Back to where a reader was, with all committed meanwhile.
      let middle = listed[listed.count / 2]
      let rest = Set(listed[(listed.count / 2 + 1)...].map(\.name)).intersection(ids.keys)
      try rig.staging.commitAll(evenOpen: true)
      var again: [String] = []
      cookie = middle.next
      while true {
        let piece = try rig.piece(of: folder, handle, from: cookie, room: 200)
        guard let last = piece.last else { break }
        again += piece.map(\.name)
        cookie = last.next
      }
      #expect(rest.isSubset(of: again), "seed \(seed): \(rest.subtracting(again)) is lost by seekdir")
      #expect(Set(again).count == again.count, "seed \(seed)")
    }
    rig.files.releasedir(folder, handle)
    for id in rig.staging.withTree({ tree in Array(tree.nodes.keys) }) {
      rig.files.release(id, FileHandle(rawValue: 1), nil)
      rig.files.forget(id, 1)
    }
    #expect(rig.staging.isIdle)
    #expect(rig.staging.shares.isEmpty)
  }

  @Test("an order of staged nodes goes on behind any position, whatever was taken out", arguments: 1...10)
  func order(_ seed: UInt64) {
    var generator = Generator(state: seed)
    var order = StagedOrder()
    var model: [(position: UInt64, id: NodeID)] = []
    for position in 1...500 as ClosedRange<UInt64> {
      let id = NodeID(rawValue: 1 << 41 | position)
      order.append(id, at: position)
      model.append((position, id))
      if Int.random(in: 0..<3, using: &generator) > 0, let place = model.indices.randomElement(using: &generator) {
        let item = model[place]
        if item.id.rawValue < 1 << 40 { continue }
        if Bool.random(using: &generator) {
          order.remove(at: item.position)
          model.remove(at: place)
        } else {
          model[place].id = NodeID(rawValue: item.position)
          order.commit(at: item.position, as: NodeID(rawValue: item.position))
        }
      }
      if Int.random(in: 0..<40, using: &generator) == 0 {
        order.dropCommitted()
        model.removeAll { $0.id.rawValue < 1 << 40 }
      }
      let start = UInt64.random(in: 0...position, using: &generator)
      let found = order.next(after: start)
      let wanted = model.first { $0.position > start }
      #expect(found?.position == wanted?.position && found?.id == wanted?.id)
    }
  }

  @Test("a user has so many names and open directories and no more, and root as many as it likes")
  func limits() throws {
    var limits = UserLimits()
    (limits.names, limits.directories) = (3, 2)
    let rig = try Rig(limits: limits)
    let root = Caller(userID: 0, groupID: 0, processID: 1)
    func make(_ name: String, _ caller: Caller) throws(Errno) -> NodeID {
      try rig.files.mkdir(name.utf8.span.bytes, in: .root, NewNode(mode: 0o777), caller).node
    }
    let made = try ["a", "b", "c"].map { try make($0, rig.user) }
    #expect(throws: Errno.noSpace) { try make("d", rig.user) }
    #expect(throws: Errno.noSpace) { try rig.create("f") }
    for name in ["r0", "r1", "r2", "r3"] { _ = try make(name, root) }
    // Given to another user, it is still the maker's.
    var changes = AttributeChanges()
    changes.userID = 99
    _ = try rig.files.setattr(made[0], nil, changes, root)
    #expect(throws: Errno.noSpace) { try make("d", rig.user) }
    // Committed, removed and forgotten: then there is room.
    try rig.staging.commit(made[0], evenOpen: false)
    let file = try rig.create("f", holding: [1])
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    #expect(throws: Errno.noSpace) { try rig.create("g") }
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    rig.files.forget(file, 1)
    _ = try rig.create("g")

    let handles = try [made[0], .root].map { try rig.files.opendir($0, OpenIntent(flags: 0), rig.user).handle }
    let many = Errno(rawValue: EMFILE)
    #expect(throws: many) { try rig.files.opendir(.root, OpenIntent(flags: 0), rig.user) }
    for _ in 0..<5 { _ = try rig.files.opendir(.root, OpenIntent(flags: 0), root) }
    rig.files.releasedir(made[0], handles[0])
    // A close that the kernel tells twice changes nothing.
    rig.files.releasedir(made[0], handles[0])
    _ = try rig.files.opendir(.root, OpenIntent(flags: 0), rig.user)
    #expect(throws: many) { try rig.files.opendir(.root, OpenIntent(flags: 0), rig.user) }
  }
}

/// Numbers that look random and are the same for the same start.
private struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }
}
