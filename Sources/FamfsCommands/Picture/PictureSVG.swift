import CommandKit
import Famfs
import Platform

/// A picture of a volume as SVG. Neighbouring cells that show the same are one rectangle, and there are so few cells
/// that any volume gives a few megabytes at most.
struct PictureSVG {
  /// The whole document.
  private(set) var text = ""
  private var y = 30
  private let colours: [NodeNumber: Int]

  private static let (left, width, cellWidth, lineHeight) = (80, 1024, 4, 20)
  private static let palette = [
    "#e6854f", "#5b9bd5", "#c678b4", "#4fb3a5", "#d9b23d", "#8f7ee0", "#d96a7b", "#7fa653", "#3f8fa8", "#b58a5c",
  ]

  /// The most cells of a device.
  static func cells(devices: Int) -> Int { width / cellWidth * max(4, 32 / max(1, devices)) }

  init(_ picture: Picture) {
    colours = Dictionary(
      uniqueKeysWithValues: picture.largest.prefix(PictureSVG.palette.count).enumerated().map { ($1.number, $0) })
    for device in picture.devices { draw(device, picture) }
    legend()
    list(picture)
    text = PictureSVG.head(height: y + 10) + text + "</svg>\n"
  }

  private static func head(height: Int) -> String {
    let fullWidth = left + width + 20
    return """
      <?xml version="1.0" encoding="UTF-8"?>
      <svg xmlns="http://www.w3.org/2000/svg" width="\(fullWidth)" height="\(height)" \
      viewBox="0 0 \(fullWidth) \(height)" font-family="sans-serif" font-size="12">
      <style>
      text { fill: #222 } .end { text-anchor: end } .name { pointer-events: none; font-size: 11px }
      .superblock { fill: #9467bd } .log { fill: #e0b000 } .log_free { fill: #f5e6a8 } .staged { fill: #17becf }
      .free { fill: #f2f2f2 } .f0 { fill: #cfe8cf } .f1 { fill: #a9d6a9 } .f2 { fill: #7fc17f } .f3 { fill: #58a758 }
      \(palette.enumerated().map { ".o\($0) { fill: \($1) }" }.joined(separator: " "))
      </style>
      <rect width="100%" height="100%" fill="#fff"/>

      """
  }

  private mutating func label(_ x: Int, _ y: Int, _ words: String, _ attributes: String = "") {
    text += "<text x=\"\(x)\" y=\"\(y)\"\(attributes)>\(XML.escape(words))</text>\n"
  }

  // MARK: A device

  private mutating func draw(_ device: Picture.Device, _ picture: Picture) {
    let usage = device.usage
    label(
      10, y,
      "Device \(usage.index), \(usage.path ?? "not found on this host"): \(humanSize(usage.size)), "
        + "\(humanSize(usage.free)) free", " font-size=\"14\" font-weight=\"bold\"")
    y += 10
    let line = PictureSVG.width / PictureSVG.cellWidth
    for start in stride(from: 0, to: device.cells.count, by: line) {
      label(PictureSVG.left - 8, y + 14, PictureText.short(device.start(of: start)), " class=\"end\"")
      draw(start..<min(start + line, device.cells.count), of: device, picture)
      y += PictureSVG.lineHeight
    }
    y += 24
  }

  /// One line of cells, as runs of those that show the same.
  private mutating func draw(_ cells: Range<Int>, of device: Picture.Device, _ picture: Picture) {
    var start = cells.lowerBound
    while start < cells.upperBound {
      let look = Look(device, start, colours)
      var end = start + 1
      while end < cells.upperBound, Look(device, end, colours) == look { end += 1 }
      rectangle(start - cells.lowerBound, end - start, look, from: device.start(of: start), picture)
      start = end
    }
  }

  /// All that decides how a cell is drawn.
  private struct Look: Equatable {
    let kind: Picture.Kind
    let style: String
    let owner: NodeNumber?
    /// Whether other files have something of it, too.
    let isShared: Bool

    init(_ device: Picture.Device, _ place: Int, _ colours: [NodeNumber: Int]) {
      let (cell, length) = (device.cells[place], device.length(of: place))
      kind = cell.kind
      guard kind == .files, let owner = cell.owner else {
        (style, self.owner, isShared) = (kind.word, nil, false)
        return
      }
      self.owner = owner
      isShared = cell.fileCount > 1
      if let colour = colours[owner], cell.ownerBytes >= length - length / 2 {
        style = "o\(colour)"
      } else {
        style = "f\(min(3, cell.bytes[Picture.Kind.files.rawValue] / max(1, length / 4)))"
      }
    }
  }

  private mutating func rectangle(_ place: Int, _ count: Int, _ look: Look, from offset: UInt64, _ picture: Picture) {
    let (x, width) = (PictureSVG.left + place * PictureSVG.cellWidth, count * PictureSVG.cellWidth)
    text +=
      "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" height=\"\(PictureSVG.lineHeight - 2)\" class=\"\(look.style)\""
    guard let owner = look.owner else {
      text += look.kind == .free ? "/>\n" : "><title>\(PictureSVG.words(look.kind))</title></rect>\n"
      return
    }
    let path = picture.volume.path(of: owner)
    let size = (try? picture.volume.node(owner))?.size ?? 0
    let more = look.isShared ? ", and others" : ""
    text +=
      "><title>\(XML.escape(path)), \(humanSize(size))\(more); from 0x\(hexadecimal(offset))</title></rect>\n"
    let name = path.split(separator: "/").last.map(String.init) ?? path
    guard !look.isShared, let shown = PictureSVG.fitting(name, in: width - 8) else { return }
    label(x + 4, y + 13, shown, " class=\"name\"")
  }

  /// As much of a name as fits so many pixels; nil when that is too little to be of use.
  private static func fitting(_ name: String, in width: Int) -> String? {
    var (shown, rest) = ("", width)
    for character in name {
      rest -= (character.unicodeScalars.first?.value ?? 0) < 0x1100 ? 7 : 12
      if rest < 0 { return shown.count < 4 ? nil : String(shown.dropLast()) + "…" }
      shown.append(character)
    }
    return shown
  }

  private static func words(_ kind: Picture.Kind) -> String {
    switch kind {
    case .superblock: "superblock"
    case .log: "log"
    case .logRoom: "log, free"
    case .files: "files"
    case .staged: "staged, copied, or not yet free"
    case .free: "free"
    }
  }

  // MARK: Below

  private mutating func legend() {
    var x = PictureSVG.left
    let fills = [("f0", "files, some"), ("f3", "files, full"), ("o0", "a large file")]
    let kinds = Picture.Kind.allCases.filter { $0 != .files }.map { ($0.word, PictureSVG.words($0)) }
    for (style, words) in kinds + fills {
      text += "<rect x=\"\(x)\" y=\"\(y - 10)\" width=\"14\" height=\"12\" class=\"\(style)\"/>\n"
      label(x + 20, y, words)
      x += 36 + words.utf8.count * 7
    }
    y += 28
  }

  private mutating func list(_ picture: Picture) {
    if picture.largest.isEmpty { return }
    label(PictureSVG.left, y, "Largest files", " font-weight=\"bold\"")
    for file in picture.largest {
      y += 18
      if let colour = colours[file.number] {
        text += "<rect x=\"\(PictureSVG.left)\" y=\"\(y - 10)\" width=\"14\" height=\"12\" class=\"o\(colour)\"/>\n"
      }
      label(PictureSVG.left + 80, y, humanSize(file.size), " class=\"end\"")
      label(PictureSVG.left + 92, y, "\(file.path)  (\(PictureText.place(of: file.layout)))")
    }
    y += 10
  }
}
