import Famfs
import Fuse
import Memory
import Platform

/// Where files' bytes lie, for a kernel that has famfs: it asks once for each file and each device, and then reads, writes
/// and maps the memory by itself. DESIGN.md, "Famfs kernels", has the reasons for all that is asked here.
struct KernelMaps: Sendable {
  /// How a device is used at this moment; nil for what is no dax device.
  typealias ModeOf = @Sendable (any MemoryDevice) -> DaxMode?

  /// All offsets and lengths that the kernel takes are multiples of it, in bytes.
  private static let unit: UInt64 = 2 << 20

  /// What is said where the kernel has famfs, but speaks a protocol that is not spoken here.
  static let pushed =
    "this kernel's famfs expects its devices by the ioctl DAXDEV_OPEN, which this program does not support; files are read "
    + "and written by FUSE requests"

  private let volume: Volume
  private let modes: Set<DaxMode>
  private let mode: ModeOf

  /// Nil where the kernel could not serve each and every file of a volume, or must not.
  /// - Parameters:
  ///   - modes: the modes in which devices are believed to be served.
  ///   - kernel: what the kernel speaks; asked only where all else is there. Nil for all but `.pulled`.
  init?(
    of volume: Volume, in modes: Set<DaxMode> = [.famfs], mayDoRawIO: Bool = Platform.mayDoRawIO(),
    kernel: () -> FamfsProtocol = KernelProbes.running.famfsProtocol,
    mode: @escaping ModeOf = { ($0 as? MappedDevice)?.daxMode }
  ) {
    let superblock = volume.superblock
    let isAligned = [superblock.allocationUnit, superblock.logOffset, superblock.logLength].allSatisfy {
      $0 % KernelMaps.unit == 0
    }
    let serves = (0..<UInt64(volume.deviceCount)).allSatisfy { index in
      (try? volume.memory(index)).flatMap(mode).map(modes.contains) ?? false
    }
    guard mayDoRawIO, isAligned, serves, !volume.isReclaiming, kernel() == .pulled else { return nil }
    (self.volume, self.modes, self.mode) = (volume, modes, mode)
  }

  /// A file's map.
  /// - Throws: EISDIR; ENOENT for a number that is none; EFBIG for a striped file with more pieces than a map can have.
  func map(of number: NodeNumber) throws(Errno) -> MemoryMap {
    let node = try volume.node(number)
    guard node.kind == .file else { throw .isDirectory }
    let layout = volume.layout(of: number)
    let purpose: MemoryMap.Purpose = number == .superblock ? .superblock : number == .log ? .log : .regular
    if layout.chunkSize == 0 || node.size == 0 {
      var runs: [MemoryMap.Run] = []
      for extent in layout.extents.array { runs.append(try run(extent)) }
      if runs.isEmpty { runs = [placeholder] }
      return MemoryMap(purpose, size: node.size, .simple(runs))
    }
    guard let chunkSize = UInt32(exactly: layout.chunkSize) else {
      return MemoryMap(purpose, size: node.size, .simple(try chunks(of: layout, size: node.size)))
    }
    var strips: [MemoryMap.Run] = []
    for extent in layout.extents.array { strips.append(try run(extent)) }
    return MemoryMap(purpose, size: node.size, .interleaved([MemoryMap.Stripe(chunkSize: chunkSize, strips: strips)]))
  }

  /// For an empty file without extents, which older versions wrote. No byte of it is reached. The kernel may refuse a map
  /// without a run, and the file's open with it.
  /// The last of the log is what would be missed least.
  private var placeholder: MemoryMap.Run {
    MemoryMap.Run(device: 0, offset: volume.superblock.dataOffset - KernelMaps.unit, length: KernelMaps.unit)
  }

  /// Each chunk of a striped file by itself: the message has no room for the size of those of 4 GiB and more.
  private func chunks(of layout: FileLayout, size: UInt64) throws(Errno) -> [MemoryMap.Run] {
    let (whole, overflow) = size.addingReportingOverflow(KernelMaps.unit - 1)
    if overflow { throw .fileTooLarge }
    var runs: [MemoryMap.Run] = []
    try layout.forEachRange(size: whole / KernelMaps.unit * KernelMaps.unit) { (range, _) throws(Errno) in
      runs.append(try run(range))
    }
    return runs
  }

  private func run(_ extent: Extent) throws(Errno) -> MemoryMap.Run {
    guard let device = UInt32(exactly: extent.device) else { throw .inputOutput }
    return MemoryMap.Run(device: device, offset: extent.offset, length: extent.length)
  }

  /// A device's path, as the kernel finds it from any working directory.
  /// - Throws: ENODEV for an index that no device has, or whose device this host cannot find; EOPNOTSUPP for a device that
  ///   came later and is not one that the kernel can serve.
  func device(_ index: UInt32) throws(Errno) -> [UInt8] {
    guard let device = try? volume.memory(UInt64(index)) else { throw .noDevice }
    guard let mode = mode(device), modes.contains(mode) else { throw .notSupported }
    do throws(Errno) { return try realPath(device.path).fileNameBytes } catch { throw .noDevice }
  }
}
