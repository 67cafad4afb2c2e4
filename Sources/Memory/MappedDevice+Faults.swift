import CLinux
import Platform

// What happens when a guarded access has failed. Nothing of it is on the way of one that succeeds.
extension MappedDevice {
  /// What could not be used since it was opened.
  public var errors: MemoryErrors? { found }

  /// Bytes of a page.
  private static let page: UInt64 = 4096
  /// Pages that are looked at one by one.
  private static let mostPages: UInt64 = 16384

  /// Looks at each page, and notes those that fail.
  public func examine(at offset: UInt64, count: UInt64) { _ = look(at: offset, count) }

  /// By the mapping's address.
  public func offset(of address: UnsafeRawPointer) -> UInt64? {
    guard let base = mapping.bytes.baseAddress.map({ UnsafeRawPointer($0) }), address >= base,
      address < base + mapping.bytes.count
    else { return nil }
    return UInt64(address - base)
  }

  /// Notes what of a range fails.
  /// - Returns: EIO, for whoever met it.
  func fault(at offset: UInt64, _ count: UInt64) -> Errno {
    if !look(at: offset, count) { note(.unwritable, at: offset, count) }
    return .inputOutput
  }

  /// Notes why the kernel did not write to a range.
  func note(_ error: Errno, at offset: UInt64, _ count: UInt64) {
    if !look(at: offset, count) { note(error == .noSpace ? .noRoom : .unwritable, at: offset, count) }
  }

  /// Notes a range, but not more of it than is looked at.
  private func note(_ fault: MemoryFault, at offset: UInt64, _ count: UInt64) {
    let start = offset / MappedDevice.page * MappedDevice.page
    let most = MappedDevice.mostPages * MappedDevice.page
    let end = min(size, (offset + max(count, 1) + 4095) / MappedDevice.page * MappedDevice.page, start + most)
    found.note(at: start, count: end - start, fault)
  }

  /// - Returns: whether a page was found that cannot be loaded from.
  private func look(at offset: UInt64, _ count: UInt64) -> Bool {
    guard count > 0, (try? check(offset, count)) != nil, let base = mapping.bytes.baseAddress else { return false }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(MappedDevice.page), alignment: 64)
    defer { copy.deallocate() }
    let first = offset / MappedDevice.page
    let end = (offset + max(count, 1) - 1) / MappedDevice.page + 1
    // What the file does not have need not be looked at.
    let there = min(end, max(first, pagesThere()))
    if there < end { note(.cutShort, pages: there..<end) }
    var run: (fault: MemoryFault, pages: Range<UInt64>)?
    var hasFound = there < end
    for page in first..<min(there, first + MappedDevice.mostPages) {
      let start = page * MappedDevice.page
      let room = Int(min(MappedDevice.page, size - start))
      if weft_guarded_copy(copy.baseAddress, base + Int(start), room) { continue }
      hasFound = true
      let fault = reason(at: start, copy, room)
      if let known = run, known.fault == fault, known.pages.upperBound == page {
        run = (fault, known.pages.lowerBound..<page + 1)
      } else {
        if let run { note(run.fault, pages: run.pages) }
        run = (fault, page..<page + 1)
      }
    }
    if let run { note(run.fault, pages: run.pages) }
    return hasFound
  }

  /// Pages that a plain file has by now; of other devices all that there can be.
  private func pagesThere() -> UInt64 {
    guard kind == .file, let status = try? file.status() else { return .max }
    return status.size / MappedDevice.page + (status.size % MappedDevice.page > 0 ? 1 : 0)
  }

  private func note(_ fault: MemoryFault, pages: Range<UInt64>) {
    let start = pages.lowerBound * MappedDevice.page
    found.note(at: start, count: min(size, pages.upperBound * MappedDevice.page) - start, fault)
  }

  /// Why a page cannot be loaded from: of a plain file, read(2) knows.
  private func reason(at start: UInt64, _ copy: UnsafeMutableRawBufferPointer, _ room: Int) -> MemoryFault {
    guard kind == .file else { return .unreadable }
    let piece = UnsafeMutableRawBufferPointer(rebasing: copy[..<room])
    return (try? file.read(at: start, into: piece)) == room ? .noRoom : .unreadable
  }

  /// Reads what cannot be loaded: a hole in a plain file, whose file system has no room for the page, still reads as zeros.
  func readInstead(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard kind == .file, (try? file.read(at: offset, into: buffer)) == buffer.count else {
      throw fault(at: offset, UInt64(buffer.count))
    }
  }

  /// Writes what cannot be stored. Writing a page whole is what makes poisoned pmem good again; and where that fails,
  /// the kernel says why.
  func writeInstead(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    let count = UInt64(buffer.count)
    switch kind {
    case .file where (try? isCutShort()) == false: break
    case .pmem: break
    case .file, .dax, .pci: throw fault(at: offset, count)
    }
    do { try file.write(at: offset, all: buffer) } catch {
      note(error, at: offset, count)
      throw error == .noSpace ? error : .inputOutput
    }
  }
}
