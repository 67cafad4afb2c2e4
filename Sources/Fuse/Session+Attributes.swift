import Platform

extension Session {
  func getattr(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let getattr = try GetattrRequest(parsing: request.body.bytes)
    let node = request.header.node
    return reply(try fileSystem.getattr(node, getattr.handle, request.header.caller), slot)
  }

  func setattr(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let setattr = try SetattrRequest(parsing: request.body.bytes)
    let (node, caller) = (request.header.node, request.header.caller)
    return reply(try fileSystem.setattr(node, setattr.handle, setattr.changes, caller), slot)
  }

  private func reply(_ attributes: CachedAttributes, _ slot: RequestSlot) -> Reply {
    slot.body(CachedAttributes.byteCount) { attributes.encode(into: &$0) }
  }

  func statx(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let statx = try StatxRequest(parsing: request.body.bytes)
    let node = request.header.node
    let attributes = try fileSystem.getattr(node, statx.handle, request.header.caller)
    return slot.body(CachedAttributes.statxByteCount) { attributes.encodeStatx(into: &$0) }
  }

  func statfs(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let status = try fileSystem.statfs(request.header.node, request.header.caller)
    return slot.body(FileSystemStatus.byteCount) { status.encode(into: &$0) }
  }

  func access(_ request: Request) throws(Errno) -> Reply {
    let access = try AccessRequest(parsing: request.body.bytes)
    try fileSystem.access(request.header.node, access.mask, request.header.caller)
    return .done
  }

  func getxattr(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let getxattr = try GetxattrRequest(parsing: bytes)
    let name = bytes.extracting(try bytes.xattrName(from: GetxattrRequest.byteCount))
    let buffer = UnsafeMutableRawBufferPointer(rebasing: slot.replies.body[..<getxattr.count])
    let length = try fileSystem.getxattr(request.header.node, name, into: buffer, request.header.caller)
    return try reply(valueOf: length, asked: getxattr.count, slot)
  }

  func listxattr(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let listxattr = try GetxattrRequest(parsing: request.body.bytes)
    let buffer = UnsafeMutableRawBufferPointer(rebasing: slot.replies.body[..<listxattr.count])
    let length = try fileSystem.listxattr(request.header.node, into: buffer, request.header.caller)
    return try reply(valueOf: length, asked: listxattr.count, slot)
  }

  /// A value that stands in the body, or only its length when that was asked for: `struct fuse_getxattr_out`.
  private func reply(valueOf length: Int, asked count: Int, _ slot: RequestSlot) throws(Errno) -> Reply {
    guard let size = UInt32(exactly: length) else { throw .inputOutput }
    if count > 0 {
      guard length <= count else { throw .outOfRange }
      return .body(length)
    }
    return slot.body(LengthReply.byteCount) { LengthReply(length: size).encode(into: &$0) }
  }

  func setxattr(_ request: Request) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let isExtended = agreement?.flags.contains(.setxattrExtension) ?? false
    let set = try SetxattrRequest(parsing: bytes, isExtended: isExtended)
    try fileSystem.setxattr(
      request.header.node, bytes.extracting(set.name), bytes.extracting(set.value), set.mode,
      clearsSetGID: set.killsSetGID, request.header.caller)
    return .done
  }

  func removexattr(_ request: Request) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let name = bytes.extracting(try RemovexattrRequest(parsing: bytes).name)
    try fileSystem.removexattr(request.header.node, name, request.header.caller)
    return .done
  }

  // MARK: ioctl

  func ioctl(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let ask = try IoctlRequest(parsing: bytes)
    let (node, caller) = (request.header.node, request.header.caller)
    let input = bytes.extracting(ask.input)
    let start = IoctlReply.byteCount
    let output = UnsafeMutableRawBufferPointer(rebasing: slot.replies.body[start..<(start + ask.outputCount)])
    let count: Int
    switch ask.command {
    case IoctlCommand.getFlags:
      guard output.count >= 4 else { throw .invalidArgument }
      output.storeBytes(of: try fileSystem.fileFlags(node, caller).rawValue, as: UInt32.self)
      count = 4
    case IoctlCommand.setFlags:
      try input.require(4)
      try fileSystem.setFileFlags(node, FileFlags(rawValue: input.u32(0)), caller)
      count = 0
    case IoctlCommand.getExtendedFlags:
      guard output.count >= ExtendedFileFlags.byteCount else { throw .invalidArgument }
      var extended = ExtendedFileFlags()
      extended.flags = try fileSystem.fileFlags(node, caller).extendedBits
      var place = output.mutableBytes
      extended.encode(into: &place)
      count = ExtendedFileFlags.byteCount
    case IoctlCommand.setExtendedFlags:
      try setExtendedFlags(of: node, try ExtendedFileFlags(parsing: input), caller)
      count = 0
    default:
      count = try fileSystem.ioctl(node, ask.handle, ask.command, input, into: output, caller)
      guard (0...output.count).contains(count) else { throw .inputOutput }
    }
    _ = slot.body(start) { IoctlReply().encode(into: &$0) }
    return .body(start + count)
  }

  /// - Throws: EOPNOTSUPP for projects and extent sizes, which no file system here has, and for flags without a name.
  private func setExtendedFlags(of node: NodeID, _ new: ExtendedFileFlags, _ caller: Caller) throws(Errno) {
    guard new.projectID == 0, new.extentSize == 0, new.copyOnWriteExtentSize == 0,
      let flags = try fileSystem.fileFlags(node, caller).with(extendedBits: new.flags)
    else { throw .notSupported }
    try fileSystem.setFileFlags(node, flags, caller)
  }
}
