/// One line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
public struct Mount: Sendable, Equatable {
  /// What stat(2) gives as st_dev for everything on it.
  public let device: (major: UInt32, minor: UInt32)
  /// Which directory of the file system is mounted there: `/` but for bind mounts.
  public let root: String
  /// Where it is mounted.
  public let mountPoint: String
  /// The type, such as `fuse.famfs`.
  public let type: String
  /// What was mounted: a device's path.
  public let source: String
  /// The file system's own options, such as `rw,huge=always`: not those of the mount point.
  public let options: String

  /// Whether nothing can be changed through this mount point, whatever others of the same file system let pass: a bind
  /// mount can be read-only by itself.
  public let isReadOnly: Bool

  /// Whether they are the same in everything.
  public static func == (a: Mount, b: Mount) -> Bool {
    a.device == b.device && a.root == b.root && a.mountPoint == b.mountPoint && a.type == b.type
      && a.source == b.source && a.options == b.options && a.isReadOnly == b.isReadOnly
  }

  /// Reads one line; nil when it does not look like one.
  init?(line: Substring) {
    // A mount may have been given an empty source, which stands there as nothing between two spaces.
    let fields = line.split(separator: " ", omittingEmptySubsequences: false)
    guard let separator = fields.firstIndex(of: "-"), separator >= 6, fields.count >= separator + 3 else { return nil }
    let numbers = fields[2].split(separator: ":")
    guard numbers.count == 2, let major = UInt32(numbers[0]), let minor = UInt32(numbers[1]) else { return nil }
    device = (major, minor)
    root = Mount.unescape(fields[3])
    mountPoint = Mount.unescape(fields[4])
    type = Mount.unescape(fields[separator + 1])
    source = Mount.unescape(fields[separator + 2])
    options = fields.dropFirst(separator + 3).first.map(Mount.unescape) ?? ""
    isReadOnly = [fields[5], options[...]].contains { $0.split(separator: ",").contains("ro") }
  }

  /// Spaces, tabs, newlines, backslashes and hashes stand as three octal digits behind a backslash.
  private static func unescape(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
        bytes.append(digits.reduce(0) { $0 << 3 | $1 & 7 })
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Everything that this process sees mounted, oldest first: of two at one place the later one is on top.
  public static func all() throws(Errno) -> [Mount] {
    parse(try readSmallFile("/proc/self/mountinfo", limit: 64 << 20))
  }

  static func parse(_ table: [UInt8]) -> [Mount] {
    table.split(separator: UInt8(ascii: "\n")).compactMap { Mount(line: String(fileName: $0)[...]) }
  }

  /// The value of an option `NAME=VALUE`; nil when it is not there.
  public func option(_ name: String) -> String? {
    options.split(separator: ",").first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.utf8.count + 1)) }
  }

  /// The user who mounted a FUSE file system; nil for other types. The kernel writes it: no user chooses it.
  public var userID: UInt32? { option("user_id").flatMap { UInt32($0) } }

  /// What is mounted at a place, on top of whatever else is. Asks the table only, never the mount.
  public static func top(at path: String) -> Mount? {
    ((try? all()) ?? []).last { $0.mountPoint.utf8.elementsEqual(path.utf8) }
  }
}
