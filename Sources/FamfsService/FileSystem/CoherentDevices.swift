import Famfs
import FamfsControl
import Memory
import Platform

extension Coherence {
  /// What the devices of a volume ask for, as far as this host has them: plain files are one host's, of all others the
  /// hardware says nothing.
  init(of volume: Volume) {
    let memories = (0..<UInt64(volume.deviceCount)).compactMap { try? volume.memory($0) as? MappedDevice }
    self = memories.allSatisfy(\.isCoherent) ? .coherent : .noncoherent
  }

  /// What the page cache keeps if nothing else was asked for. A page in it is one more copy that no hardware looks after;
  /// but where files that go past it cannot be mapped shared (before Linux 6.6) that is what most are for.
  func usualCache(mapsDirectFiles: Bool) -> CachePolicy { self == .noncoherent && mapsDirectFiles ? .never : .auto }
}

extension MemoryDevice {
  /// Bytes, of all CPUs at most, that are written back together.
  private static var line: UInt64 { 128 }

  /// Writes where other hosts write too. Lines that are written in part are read afresh before, for what this CPU has
  /// cached of them would be written back with the rest.
  func writeAmongOthers(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    let (count, last) = (UInt64(buffer.count), Self.line - 1)
    try check(offset, count)
    let end = offset + count
    if offset & last != 0 { try invalidate(at: offset & ~last, count: min(Self.line, size - offset & ~last)) }
    if end & last != 0 { try invalidate(at: end & ~last, count: min(Self.line, size - end & ~last)) }
    try write(at: offset, from: buffer)
  }
}
