import Glibc
import Memory
import Platform
import Synchronization
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct ConcurrencyTests {
  /// Runs each body on a thread of its own, and waits for all.
  private func together(_ bodies: [@Sendable () throws -> Void]) throws {
    let threads = try bodies.map { body in
      try Platform.Thread(named: "together") {
        do { try body() } catch { Issue.record("\(error)") }
      }
    }
    for thread in threads { thread.join() }
  }

  /// A real device, because its fences and its words are real: a plain file, already without a name.
  private func mappedFile() throws -> MappedDevice {
    var name = Array("/dev/shm/weft-famfs-XXXXXX".utf8CString)
    let file = FileDescriptor(owning: mkstemp(&name))
    try file.truncate(to: 16 << 20)
    defer { unlink(&name) }
    return try MappedDevice(path: "/proc/self/fd/\(file.rawValue)", writable: true)
  }

  @Test("many threads add, cancel, look up and follow at once, and all of it adds up")
  func everything() throws {
    let device = try mappedFile()
    try make(on: device)
    let master = try Volume(on: device, host: Host.master)
    let client = try Volume(on: device, host: Host.client)
    let state = State(busy: 3)
    let writers: [@Sendable () throws -> Void] = (0..<3).map { writer in
      {
        defer { state.busy.subtract(1, ordering: .releasing) }
        try master.makeDirectory("d\(writer)")
        for number in 0..<25 {
          let contents = Array(repeating: UInt8(writer * 25 + number), count: 100 + number * 300)
          try master.create("d\(writer)/f\(number)", contents)
          let cancelled = try master.reserve("d\(writer)/cancelled\(number)", size: 50_000)
          master.cancel(cancelled.id)
          // Only one of the writers can have this name.
          if refusal({ try master.makeDirectory("shared\(number)") }) == nil {
            state.shared.add(1, ordering: .relaxed)
          }
        }
      }
    }
    let readers: [@Sendable () throws -> Void] = [master, client].map { volume in
      {
        while state.busy.load(ordering: .acquiring) > 0 {
          #expect(volume.follow().trouble == nil)
          // Whatever is seen is seen whole.
          for (number, path, item) in try volume.walk() where !item.isDirectory {
            let contents = try volume.contents(of: number)
            #expect(UInt64(contents.count) == item.size && Set(contents).count == 1, "\(path)")
          }
        }
      }
    }
    try together(writers + readers)
    _ = client.follow()
    let opened = try Volume(on: device, host: Host.client)
    #expect(opened.report().isClean)
    #expect(state.shared.load(ordering: .relaxed) == 25)
    #expect(opened.usage().files == 75)
    #expect(opened.usage().directories == 28)
    #expect(try opened.items() == master.items())
    #expect(try opened.items() == client.items())
    #expect(areDisjoint(try opened.items().values.flatMap(\.extents)))
    #expect(master.usage().free == opened.usage().free)
  }

  private final class State: Sendable {
    let busy: Atomic<Int>
    let shared = Atomic(0)
    init(busy: Int) { self.busy = Atomic(busy) }
  }
}
