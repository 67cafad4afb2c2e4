import Memory
import Platform

// What outlasts a crash of this host. In memory that is the hardware's affair; on a plain file that lies on a disk, what
// was written is in the page cache only, until it is synced.
extension Volume {
  /// Whether one of its devices lies on a disk, so that to make something durable takes long.
  public var isOnDisk: Bool {
    let isSlow = { (memory: any MemoryDevice) in memory.isPageCache || (memory as? MappedDevice)?.isOnDisk == true }
    return isSlow(device) || members.withLock { $0.contains { $0.memory.map(isSlow) ?? false } }
  }

  /// Waits until a file's contents are durable, as far as its devices can make them so.
  /// - Throws: EISDIR; ENOENT for a number that is none; what the disk says.
  public func sync(_ number: NodeNumber) throws(Errno) {
    guard try node(number).kind == .file else { return }
    do throws(FamfsError) { try sync(layout(of: number)) } catch { throw error.errno }
  }

  /// Waits until all that was written to the devices that this host has is durable.
  public func syncAll() throws(Errno) {
    for index in 0..<UInt64(deviceCount) {
      if let memory = try? memory(index) { try memory.sync(at: 0, count: memory.size) }
    }
  }

  /// Waits until what lies in these extents, or strips, is durable.
  func sync(_ layout: FileLayout) throws(FamfsError) {
    for extent in layout.extents.array {
      var path = device.path
      do throws(Errno) {
        let memory = try memory(extent.device)
        path = memory.path
        try memory.sync(at: extent.offset, count: extent.length)
      } catch { throw .memory(path, error) }
    }
  }
}
