import Fuse
import Glibc
import Platform
import Synchronization
import Testing

/// The small file system with reads that other threads answer, later than they came.
private struct LateReads: ForwardingFileSystem {
  let base = SmallFileSystem()
  let pool = WorkerPool(named: "late", threads: 3)

  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    Opened(FileHandle(rawValue: 77), .directIO)
  }

  func read(_ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller)
  {
    let base = base
    pool.run(pending) { pending in
      var pending = pending
      do throws(Errno) { try base.read(node, handle, at: offset, into: &pending.reply, caller) } catch {
        return pending.fail(error)
      }
      pending.finish()
    }
  }
}

@Suite("Requests over /dev/fuse that are answered later", .timeLimit(.minutes(15))) struct LateMountTests {
  @Test(
    "many at a time get their own bytes, while others come and go",
    .enabled(if: canMount, "needs root and /dev/fuse"))
  func reads() throws {
    let wrong = Atomic(0)
    try withMount(LateReads()) { directory in
      let readers = try (0..<8).map { reader in
        try Thread(named: "reader") {
          for round in 0..<60 {
            let size = 4096 + (reader * 60 + round) * 512
            let place = (reader * 7919 + round * 104_729) % (SmallFileSystem.pattern.count - size)
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
            defer { bytes.deallocate() }
            guard let file = try? FileDescriptor(opening: directory + "/big", .readOnly),
              (try? file.read(at: UInt64(place), into: bytes)) == size,
              bytes.elementsEqual(SmallFileSystem.pattern[place..<place + size])
            else {
              wrong.add(1, ordering: .relaxed)
              continue
            }
          }
        }
      }
      for reader in readers { reader.join() }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }
}
