import CommandKit
import Famfs
import Platform

/// A picture of a volume in a terminal's characters.
struct PictureText {
  let columns: Int
  let isUnicode: Bool
  let hasColours: Bool

  private static let labelWidth = 8
  /// Files that have a letter of their own.
  private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

  /// The most cells of a device: lines whose lengths are powers of two, so that they begin at round offsets.
  static func cells(columns: Int, devices: Int) -> Int { line(columns) * (devices > 1 ? 8 : 16) }

  /// Cells of a line.
  private static func line(_ columns: Int) -> Int {
    var cells = 16
    while cells < 256, cells * 2 <= columns - labelWidth - 3 { cells *= 2 }
    return cells
  }

  func text(_ picture: Picture) -> String {
    var letters: [NodeNumber: Int] = [:]
    for (place, file) in picture.largest.prefix(PictureText.letters.count).enumerated() { letters[file.number] = place }
    let devices = picture.devices.map { head($0) + marks($0, letters) + "\n" }
    return devices.joined() + legend(hasLetters: !letters.isEmpty) + list(picture)
  }

  private func head(_ device: Picture.Device) -> String {
    let usage = device.usage
    let place = usage.path ?? "not found on this host"
    return "Device \(usage.index), \(oneLine(place)): \(humanSize(usage.size)), "
      + "\(humanSize(usage.free)) free; each mark is \(PictureText.short(device.cellSize))\n"
  }

  private func marks(_ device: Picture.Device, _ letters: [NodeNumber: Int]) -> String {
    let line = PictureText.line(columns)
    var text = ""
    for start in stride(from: 0, to: device.cells.count, by: line) {
      let label = PictureText.short(device.start(of: start))
      text += String(repeating: " ", count: max(0, PictureText.labelWidth - label.count)) + label + " |"
      var style = ""
      for place in start..<min(start + line, device.cells.count) {
        let (mark, colour) = mark(device.cells[place], length: device.length(of: place), letters)
        if hasColours, colour != style {
          text += "\u{1b}[0;\(colour)m"
          style = colour
        }
        text.append(mark)
      }
      text += (hasColours ? "\u{1b}[0m" : "") + "|\n"
    }
    return text
  }

  private static let fileColours = ["1;31", "1;34", "1;35", "1;36", "1;33", "1;32"]

  private func mark(
    _ cell: Picture.Cell, length: UInt64, _ letters: [NodeNumber: Int]
  ) -> (Character, colour: String) {
    guard cell.kind == .files else { return (symbol(cell.kind), PictureText.colour(cell.kind)) }
    if let owner = cell.owner, let letter = letters[owner], cell.ownerBytes >= length - length / 2 {
      return (PictureText.letters[letter], PictureText.fileColours[letter % PictureText.fileColours.count])
    }
    let quarter = min(3, cell.bytes[Picture.Kind.files.rawValue] / max(1, length / 4))
    return (fills[Int(quarter)], PictureText.colour(.files))
  }

  private func symbol(_ kind: Picture.Kind) -> Character {
    switch kind {
    case .superblock: "@"
    case .log: "="
    case .logRoom: "-"
    case .files: fills[3]
    case .staged: "^"
    case .free: isUnicode ? "·" : "."
    }
  }

  private var fills: [Character] { Array(isUnicode ? "░▒▓█" : ":+*#") }

  private static func colour(_ kind: Picture.Kind) -> String {
    switch kind {
    case .superblock: "35"
    case .log: "33"
    case .logRoom: "2;33"
    case .files: "32"
    case .staged: "36"
    case .free: "2"
    }
  }

  private func legend(hasLetters: Bool) -> String {
    let words: [(Picture.Kind, String)] = [
      (.superblock, "superblock"), (.log, "log"), (.logRoom, "log, free"), (.staged, "staged, copied, or not yet free"),
      (.free, "free"),
    ]
    let marks = words.map { kind, word in
      (hasColours ? "\u{1b}[0;\(PictureText.colour(kind))m\(symbol(kind))\u{1b}[0m" : "\(symbol(kind))") + " " + word
    }
    let letters = hasLetters ? "; A to Z one of the largest, that has most of it" : ""
    return marks.joined(separator: "   ") + "\n\(String(fills)) files, by how full\(letters)\n"
  }

  private func list(_ picture: Picture) -> String {
    if picture.largest.isEmpty { return "" }
    let lines = picture.largest.enumerated().map { place, file in
      let letter = place < PictureText.letters.count ? PictureText.letters[place] : " "
      let size = humanSize(file.size)
      return "  \(letter)  \(String(repeating: " ", count: max(0, 9 - size.count)))\(size)  "
        + "\(oneLine(file.path))  (\(PictureText.place(of: file.layout)))\n"
    }
    return "\nLargest files:\n" + lines.joined()
  }

  /// Where a file lies, in a few words.
  static func place(of layout: FileLayout) -> String {
    let extents = layout.extents.array
    guard let first = extents.first else { return "no extents" }
    let start = "device \(first.device) at 0x\(hexadecimal(first.offset))"
    if extents.count == 1 { return start }
    return "\(extents.count) \(layout.chunkSize == 0 ? "extents" : "strips"), the first on \(start)"
  }

  /// A multiple of a power of two, as 64M; in the largest unit in which it is whole.
  static func short(_ bytes: UInt64) -> String {
    var (value, unit) = (bytes, 0)
    while value >= 1024, value % 1024 == 0, unit < 4 {
      value /= 1024
      unit += 1
    }
    return "\(value)" + ["", "K", "M", "G", "T"][unit]
  }
}
