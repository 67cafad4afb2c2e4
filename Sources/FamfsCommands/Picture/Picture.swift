import Famfs
import Platform

/// What lies where on a volume's devices, cut into cells of equal length.
struct Picture {
  /// What a byte can belong to.
  enum Kind: Int, CaseIterable {
    case superblock, log, logRoom, files, staged, free

    /// For programs.
    var word: String { ["superblock", "log", "log_free", "files", "staged", "free"][rawValue] }
  }

  /// A part of a device.
  struct Cell {
    /// Bytes of each kind but `free`, by its raw value.
    var bytes = InlineArray<5, UInt64>(repeating: 0)
    /// The file that has most of it.
    var owner: NodeNumber?
    var ownerBytes: UInt64 = 0
    /// Files that have any of it.
    var fileCount: UInt32 = 0
    fileprivate var last: NodeNumber?

    /// What it shows: of all that it has the largest, and free only when that is all.
    var kind: Kind {
      var (best, most) = (Kind.free, UInt64(0))
      for kind in [Kind.superblock, .files, .staged] where bytes[kind.rawValue] > most {
        (best, most) = (kind, bytes[kind.rawValue])
      }
      let log = (bytes[Kind.log.rawValue], bytes[Kind.logRoom.rawValue])
      if log.0 + log.1 > most { best = log.0 > 0 ? .log : .logRoom }
      return best
    }
  }

  /// One device.
  struct Device {
    let usage: DeviceUsage
    /// Bytes of a cell: a power of two.
    let cellSize: UInt64
    var cells: [Cell]
    /// Runs of one kind, in order.
    var areas: [(kind: Kind, range: Range<UInt64>)] = []

    /// Bytes from the device's start to a cell.
    func start(of cell: Int) -> UInt64 { UInt64(cell) * cellSize }

    /// The length of a cell; the last one may be shorter.
    func length(of cell: Int) -> UInt64 { min(cellSize, usage.size - start(of: cell)) }

    init(_ usage: DeviceUsage, cells most: Int) {
      self.usage = usage
      var size: UInt64 = 4096
      while size < 1 << 62, (usage.size - min(1, usage.size)) / size >= UInt64(most) { size <<= 1 }
      cellSize = size
      cells = Array(repeating: Cell(), count: Int((usage.size - min(1, usage.size)) / size) + 1)
    }

    /// Adds a range of a kind, and of a file if it is one's.
    mutating func add(_ range: Range<UInt64>, _ kind: Kind, of file: NodeNumber? = nil) {
      var position = range.lowerBound
      while position < range.upperBound {
        let place = Int(position / cellSize)
        guard place < cells.count else { return }
        let end = min(range.upperBound, start(of: place) + cellSize)
        cells[place].bytes[kind.rawValue] += end - position
        if let file {
          if cells[place].last != file { cells[place].fileCount += 1 }
          cells[place].last = file
          if end - position > cells[place].ownerBytes {
            (cells[place].owner, cells[place].ownerBytes) = (file, end - position)
          }
        }
        position = end
      }
    }
  }

  /// One of the largest files.
  struct File {
    let number: NodeNumber
    let path: String
    /// Bytes.
    let size: UInt64
    let layout: FileLayout
  }

  let volume: Volume
  private(set) var devices: [Device]
  /// The largest files by the space that they take; clones are left out, for theirs is another's.
  private(set) var largest: [File]

  /// Looks at a volume.
  /// - Parameters:
  ///   - cells: the most cells of a device.
  ///   - files: how many of the largest files.
  ///   - held: for each device, what nobody has according to a mount's daemon; nil when there is none to ask.
  init(of volume: Volume, cells: Int, files: Int, free held: [[Range<UInt64>]?]) {
    self.volume = volume
    var devices = volume.devices().map { Device($0, cells: cells) }
    var sizes: [(space: UInt64, number: NodeNumber)] = []
    volume.forEachFile { number, node, extents, isClone in
      if isClone { return }
      for extent in extents where extent.device < devices.count {
        devices[Int(extent.device)].add(extent.offset..<extent.offset + extent.length, .files, of: number)
      }
      sizes.append((node.allocated, number))
    }
    sizes.sort { $0.space == $1.space ? $0.number < $1.number : $0.space > $1.space }
    largest = sizes.prefix(files).compactMap { file in
      guard let node = try? volume.node(file.number) else { return nil }
      return File(
        number: file.number, path: volume.path(of: file.number), size: node.size,
        layout: volume.layout(of: file.number))
    }
    for place in devices.indices {
      Picture.addAreas(volume, held.indices.contains(place) ? held[place] : nil, &devices[place])
    }
    self.devices = devices
  }

  /// The path of the file that has most of a cell.
  func owner(of cell: Cell) -> String? { cell.owner.map { volume.path(of: $0) } }

  /// Notes what of a device is no file's, and lists all of it in order.
  private static func addAreas(_ volume: Volume, _ held: [Range<UInt64>]?, _ device: inout Device) {
    let index = device.usage.index
    device.areas = [(.superblock, volume.superblockArea(ofDevice: index))]
    if index == 0 { device.areas += [(.log, volume.logAreas.used), (.logRoom, volume.logAreas.room)] }
    for area in device.areas { device.add(area.range, area.kind) }
    var position = device.areas.last?.range.upperBound ?? 0
    for area in divide(volume.freeRuns(ofDevice: index), by: held) {
      if area.range.lowerBound > position { device.areas.append((.files, position..<area.range.lowerBound)) }
      if area.kind == .staged { device.add(area.range, .staged) }
      device.areas.append(area)
      position = area.range.upperBound
    }
    let end = device.usage.size / volume.superblock.allocationUnit * volume.superblock.allocationUnit
    if position < end { device.areas.append((.files, position..<end)) }
    device.areas.removeAll { $0.range.isEmpty }
  }

  /// Tells apart what of the log's free space is free for the daemon of a mount, and what that has given out already.
  /// - Parameters:
  ///   - free: in order, as `held`.
  ///   - held: what is free for the daemon; nil when there is none to ask.
  static func divide(
    _ free: [Range<UInt64>], by held: [Range<UInt64>]?
  ) -> [(kind: Kind, range: Range<UInt64>)] {
    guard let held else { return free.map { (.free, $0) } }
    var areas: [(kind: Kind, range: Range<UInt64>)] = []
    var place = 0
    for run in free {
      var position = run.lowerBound
      while place < held.count, held[place].upperBound <= position { place += 1 }
      while place < held.count, held[place].lowerBound < run.upperBound {
        let both = held[place].clamped(to: position..<run.upperBound)
        if both.lowerBound > position { areas.append((.staged, position..<both.lowerBound)) }
        areas.append((.free, both))
        position = both.upperBound
        if held[place].upperBound > run.upperBound { break }
        place += 1
      }
      if position < run.upperBound { areas.append((.staged, position..<run.upperBound)) }
    }
    return areas
  }
}
