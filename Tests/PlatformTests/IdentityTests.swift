import Platform
import Testing

@testable import Platform

@Suite struct UUIDTests {
  private static let text = "2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21"
  private static let bytes: [UInt8] = [
    0x2e, 0x1b, 0xc9, 0xd6, 0xe4, 0xf9, 0x4f, 0xa2, 0xa1, 0xfb, 0x4d, 0x49, 0x43, 0xa4, 0x4e, 0x21,
  ]

  @Test("text and bytes have the same order")
  func order() throws {
    let uuid = try #require(UUID(UUIDTests.text))
    #expect(uuid == UUID(UUIDTests.bytes.span.bytes))
    #expect("\(uuid)" == UUIDTests.text)
    var bytes = [UInt8](repeating: 0xee, count: 18)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    uuid.store(into: &raw, at: 1)
    #expect(bytes == [0xee] + UUIDTests.bytes + [0xee])
    #expect(UUID(bytes.span.bytes, at: 1) == uuid)
  }

  @Test("capital letters and missing dashes are read, and written small with dashes")
  func forms() {
    #expect(UUID(UUIDTests.text.uppercased()).map { "\($0)" } == UUIDTests.text)
    #expect(UUID("2e1bc9d6e4f94fa2a1fb4d4943a44e21").map { "\($0)" } == UUIDTests.text)
    #expect(UUID("00000000-0000-0000-0000-000000000000") == .zero)
    #expect(UUID("ffffffffffffffffffffffffffffffff") == UUID(high: .max, low: .max))
  }

  static let badTexts = [
    "", "2e1bc9d6", "2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e2", "2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e211",
    "2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e2g", "2e1bc9d6-e4f9-4fa2-a1fb4-d4943a44e21",
    "2e1bc9d6+e4f9+4fa2+a1fb+4d4943a44e21", "-2e1bc9d6e4f94fa2a1fb4d4943a44e2", "２e1bc9d6e4f94fa2a1fb4d4943a44e",
    "2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44é2", "{2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e}",
    " e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21", "2e1bc9d6e4f94fa2a1fb4d4943a44e2\0",
  ]

  @Test("anything else is no identifier", arguments: badTexts)
  func bad(text: String) { #expect(UUID(text) == nil) }

  @Test("random identifiers are of version 4 and never the same")
  func random() {
    let made = (0..<100).map { _ in "\(UUID.random())" }
    #expect(Set(made).count == 100)
    for text in made {
      let digits = Array(text)
      #expect(digits[14] == "4")
      #expect("89ab".contains(digits[19]))
    }
  }

  @Test("marking changes the version and the variant only")
  func marking() {
    #expect("\(UUID(high: .max, low: .max).marked(version: 8))" == "ffffffff-ffff-8fff-bfff-ffffffffffff")
    #expect("\(UUID.zero.marked(version: 8))" == "00000000-0000-8000-8000-000000000000")
  }
}

@Suite struct HostIdentityTests {
  private static let uuid = "11111111-2222-3333-4444-555566667777"
  private static let missing = "/nonexistent/file"

  private func identity(
    override: String? = nil, files: [String] = [], machine: String = missing
  ) throws -> String {
    "\(try HostIdentity.systemUUID(override: override, systemFiles: files, machineFile: machine))"
  }

  @Test("the override comes before all else")
  func override() throws {
    let other = try ScratchFile("2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21\n")
    #expect(try identity(override: HostIdentityTests.uuid, files: [other.path]) == HostIdentityTests.uuid)
  }

  @Test("an override that is no UUID is an error and not passed over")
  func badOverride() {
    let error = #expect(throws: HostIdentityError.self) { try identity(override: "host7") }
    #expect(error.map { "\($0)" }?.hasPrefix("FAMFS_SYSTEM_UUID is 'host7', which is not a UUID; set it to") == true)
  }

  @Test("the first file that has an identifier decides, capital or not, whatever follows it")
  func files() throws {
    let first = try ScratchFile("\(HostIdentityTests.uuid.uppercased()) \r\nsomething else\n")
    let second = try ScratchFile("2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21")
    #expect(try identity(files: [HostIdentityTests.missing, first.path, second.path]) == HostIdentityTests.uuid)
  }

  @Test("firmware that says all zeros, all ones or nonsense has said nothing")
  func noIdentifier() throws {
    let unreal = try [
      ScratchFile("00000000-0000-0000-0000-000000000000"), ScratchFile("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
      ScratchFile("Not Settable"), ScratchFile(""),
    ]
    let machine = try ScratchFile("ffffffffffffffffffffffffffffffff\n")
    let good = try ScratchFile("0123456789abcdef0123456789abcdef\n")
    #expect(try identity(files: unreal.map(\.path), machine: good.path) == "01234567-89ab-8def-8123-456789abcdef")
    let error = #expect(throws: HostIdentityError.self) {
      try identity(files: unreal.map(\.path), machine: machine.path)
    }
    #expect(error.map { "\($0)" }?.contains("set FAMFS_SYSTEM_UUID") == true)
  }
}
