import Glibc

/// Names and paths as text.
///
/// Linux takes any bytes for a name, and a Swift string is Unicode. A byte that is not part of valid UTF-8 stands in a
/// string as one scalar, U+10FF00 and the byte added up, and goes back to that byte wherever a name is given to the kernel
/// or stored in a log entry. Those scalars, which belong to a private use area, are themselves taken for single bytes
/// where a name has them, so that every name comes back byte for byte. (docs/decisions/names-of-any-bytes.md)
extension String {
  /// The text of a name or path.
  public init(fileName bytes: some Collection<UInt8>) {
    let bytes = Array(bytes)
    if !bytes.contains(0xf4), let text = String(validating: bytes, as: UTF8.self) {
      self = text
      return
    }
    var scalars = UnicodeScalarView()
    var place = 0
    while place < bytes.count {
      if let scalar = Unicode.Scalar(of: bytes, at: place), scalar.fileNameByte == nil {
        scalars.append(scalar)
        place += UTF8.width(scalar)
      } else {
        scalars.append(Unicode.Scalar(fileNameByte: bytes[place]))
        place += 1
      }
    }
    self = String(scalars)
  }

  /// The text of a name or path that ends with a NUL.
  public init(cFileName name: UnsafePointer<CChar>) {
    var count = 0
    while name[count] != 0 { count += 1 }
    self.init(fileName: UnsafeRawBufferPointer(start: name, count: count))
  }

  /// The bytes of a name or path.
  public var fileNameBytes: [UInt8] {
    var text = self
    let plain: [UInt8]? = text.withUTF8 { bytes in
      guard let start = bytes.baseAddress, memchr(start, 0xf4, bytes.count) != nil else { return Array(bytes) }
      return nil
    }
    if let plain { return plain }
    return unicodeScalars.flatMap { scalar in scalar.fileNameByte.map { [$0] } ?? Array(UTF8.encode(scalar) ?? .init())
    }
  }

  /// The same for a C function, with a NUL behind it.
  public var cFileName: [CChar] { fileNameBytes.map { CChar(bitPattern: $0) } + [0] }
}

extension Unicode.Scalar {
  private static let firstByte: UInt32 = 0x10_ff00

  /// The byte of a name that this stands for; nil when it stands for itself.
  public var fileNameByte: UInt8? { value >= Unicode.Scalar.firstByte + 0x80 ? UInt8(value & 0xff) : nil }

  /// How people are shown such a byte: `\xff`.
  public var fileNameEscape: String? { fileNameByte.map { "\\x" + String($0, radix: 16) } }

  /// What stands for a byte of 128 and more.
  fileprivate init(fileNameByte byte: UInt8) {
    precondition(byte >= 0x80, "a byte below 128 is a scalar of its own")
    guard let scalar = Unicode.Scalar(Unicode.Scalar.firstByte + UInt32(byte)) else { preconditionFailure("a scalar") }
    self = scalar
  }

  /// The scalar that begins at a place, if its bytes are valid.
  fileprivate init?(of bytes: [UInt8], at place: Int) {
    let first = bytes[place]
    let count = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    guard place + count <= bytes.count,
      let text = String(validating: bytes[place..<place + count], as: UTF8.self),
      let scalar = text.unicodeScalars.first,
      text.unicodeScalars.count == 1
    else { return nil }
    self = scalar
  }
}
