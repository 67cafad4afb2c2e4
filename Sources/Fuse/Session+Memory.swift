import Platform

extension Session {
  func memoryMap(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    try checkMapsMemory(.getFmap)
    let map = try fileSystem.memoryMap(request.header.node, request.header.caller)
    return slot.body(try map.byteCount()) { map.encode(into: &$0) }
  }

  func memoryDevice(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    try checkMapsMemory(.getDaxdev)
    let asked = try MemoryDeviceRequest(parsing: request.body.bytes, node: request.header.node)
    let name = try fileSystem.memoryDevice(asked.index, request.header.caller)
    let reply = try MemoryDeviceReply(asked.index, name)
    return slot.body(MemoryDeviceReply.byteCount) { reply.encode(into: &$0) }
  }

  /// Who was not promised maps must not get any: from then on the kernel would not ask for what is read and written.
  private func checkMapsMemory(_ opcode: Opcode) throws(Errno) {
    guard agreement?.flags.contains(.daxFileMaps) ?? false else { throw fileSystem.refusal(of: opcode) }
  }
}
