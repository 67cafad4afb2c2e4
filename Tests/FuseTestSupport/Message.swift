import Fuse
import Platform

/// Little-endian bytes, put together field by field.
package struct Message {
  package var bytes: [UInt8]

  package init(bytes: [UInt8] = []) { self.bytes = bytes }

  package func u16(_ value: UInt16) -> Message { adding(value) }
  package func u32(_ value: UInt32) -> Message { adding(value) }
  package func u64(_ value: UInt64) -> Message { adding(value) }
  package func zeros(_ count: Int) -> Message { Message(bytes: bytes + [UInt8](repeating: 0, count: count)) }
  package func data(_ data: [UInt8]) -> Message { Message(bytes: bytes + data) }
  package func name(_ name: String) -> Message { Message(bytes: bytes + Array(name.utf8) + [0]) }

  private func adding<Value: FixedWidthInteger>(_ value: Value) -> Message {
    Message(bytes: bytes + withUnsafeBytes(of: value.littleEndian) { Array($0) })
  }

  /// A whole request with these bytes behind its header.
  package static func request(
    _ opcode: UInt32, unique: UInt64 = 2, node: UInt64 = 1, length: Int? = nil, extensions: UInt16 = 0,
    _ body: Message = Message()
  ) -> [UInt8] {
    let header = Message().u32(UInt32(length ?? 40 + body.bytes.count)).u32(opcode).u64(unique).u64(node)
      .u32(1000).u32(100).u32(4321).u16(extensions).u16(0)
    return header.bytes + body.bytes
  }

  package static func request(
    _ opcode: Opcode, unique: UInt64 = 2, node: UInt64 = 1, _ body: Message = Message()
  ) -> [UInt8] {
    request(opcode.rawValue, unique: unique, node: node, body)
  }

  /// What a kernel of this version with all features says first.
  package static func offer(minor: UInt32 = 45, major: UInt32 = 7, unique: UInt64 = 1) -> [UInt8] {
    request(
      .initialize, unique: unique, node: 0,
      Message().u32(major).u32(minor).u32(131072).u32(0x7fff_ffff).u32(0xffff_ffff).zeros(44))
  }

  /// `struct fuse_read_in`.
  package static func read(at offset: UInt64, _ count: UInt32, handle: UInt64 = 0) -> Message {
    Message().u64(handle).u64(offset).u32(count).u32(0).u64(0).u32(0).u32(0)
  }

  /// `struct fuse_create_in` and a name.
  package static func create(_ name: String, flags: UInt32 = 0o102, mode: UInt32 = 0o100640) -> Message {
    Message().u32(flags).u32(mode).u32(0o027).u32(0).name(name)
  }

  /// `struct fuse_mknod_in` and a name.
  package static func mknod(_ name: String, mode: UInt32 = 0o10640, specialDevice: UInt32 = 0) -> Message {
    Message().u32(mode).u32(specialDevice).u32(0o027).u32(0).name(name)
  }

  /// `struct fuse_mkdir_in` and a name.
  package static func mkdir(_ name: String) -> Message { Message().u32(0o750).u32(0o027).name(name) }

  /// `struct fuse_rename2_in` and two names.
  package static func rename2(_ name: String, to newName: String, in directory: UInt64 = 1, flags: UInt32 = 0)
    -> Message
  {
    Message().u64(directory).u32(flags).u32(0).name(name).name(newName)
  }

  /// `struct fuse_fallocate_in`.
  package static func fallocate(at offset: UInt64, _ length: UInt64, mode: UInt32 = 0) -> Message {
    Message().u64(1).u64(offset).u64(length).u32(mode).u32(0)
  }

  /// One request of each kind that changes names: "d" and "f" are made, moved and removed.
  package static let changes: [[UInt8]] = [
    request(.mkdir, unique: 10, mkdir("d")), request(.create, unique: 11, create("f")),
    request(.mknod, unique: 12, mknod("p")),
    request(.rename, unique: 13, Message().u64(1).name("f").name("g")),
    request(.rename2, unique: 14, rename2("d", to: "g", flags: 2)),
    request(.rmdir, unique: 15, Message().name("g")), request(.unlink, unique: 16, Message().name("d")),
    request(.unlink, unique: 17, Message().name("p")),
  ]

  /// `struct fuse_write_in` and data.
  package static func write(at offset: UInt64, _ data: [UInt8], count: UInt32? = nil, flags: UInt32 = 0) -> Message {
    Message().u64(0).u64(offset).u32(count ?? UInt32(data.count)).u32(flags).u64(0).u32(0).u32(0).data(data)
  }
}

/// A reply as it was sent.
package struct ReplyMessage: Equatable, Sendable {
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) { self.bytes = bytes }

  package var unique: UInt64 { bytes.span.bytes.u64(8) }
  package var error: Int32 { Int32(bitPattern: bytes.span.bytes.u32(4)) }
  package var statedLength: Int { Int(bytes.span.bytes.u32(0)) }
  package var body: [UInt8] { Array(bytes[16...]) }
  package func u16(_ offset: Int) -> UInt16 { bytes.span.bytes.u16(16 + offset) }
  package func u32(_ offset: Int) -> UInt32 { bytes.span.bytes.u32(16 + offset) }
  package func u64(_ offset: Int) -> UInt64 { bytes.span.bytes.u64(16 + offset) }
}
