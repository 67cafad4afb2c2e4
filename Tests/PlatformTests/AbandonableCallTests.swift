import Glibc
import Platform
import Testing

/// Questions that may never be answered.
struct AbandonableCallTests {
  @Test("an answer comes as soon as it is there, again and again")
  func answered() throws {
    let look = try AbandonableCall { 42 }
    #expect(look.wait(until: .max) == 42)
    #expect(look.wait(until: 0) == 42)
  }

  @Test("who does not want to wait any more goes on, and may come back for the answer")
  func late() throws {
    let pipe = try Spawn.pipe()
    let reading = FileDescriptor(owning: pipe.reading)
    let writing = FileDescriptor(owning: pipe.writing)
    let number = reading.rawValue
    let look = try AbandonableCall {
      var byte: UInt8 = 0
      return read(number, &byte, 1) == 1
    }
    #expect(look.wait(until: 0) == nil)
    #expect(look.wait(until: Clock.monotonic() + 10_000_000) == nil)
    try [1].span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try writing.write(all: bytes) }
    #expect(look.wait(until: .max) == true)
  }
}
