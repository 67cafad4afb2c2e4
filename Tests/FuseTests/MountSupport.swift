import Counts
import Fuse
import Glibc
import Platform

/// A new empty directory, removed at the end.
struct TemporaryDirectory: ~Copyable {
  let path: String

  init() throws(Errno) {
    var template = Array("/tmp/weft-fuse-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw .current }
    path = String(cString: made)
  }

  deinit { rmdir(path) }
}

/// Mounts a file system, runs `body` with the directory, and unmounts whatever happens.
/// - Returns: what was asked for meanwhile.
@discardableResult
func withMount(
  _ files: some FileSystem, source: String = "small", _ body: (String, DevFuse) throws -> Void
) throws -> [OperationCount] {
  let directory = try TemporaryDirectory()
  let door = try Mounting.mount(on: directory.path, MountOptions(source: source, subtype: "small"))
  return try serve(files, over: door, on: directory.path) {
    try body(directory.path, door)
    try? Mounting.unmount(directory.path)
  }
}

/// Serves a mount while `body` runs, which should unmount it; if not it is unmounted here.
@discardableResult
func serve(
  _ files: some FileSystem, over door: some Transport, on path: String, _ body: () throws -> Void
) throws -> [OperationCount] {
  let session = Session(files, over: door)
  let server = try Thread(named: "session") { _ = try? session.run(threads: 3) }
  defer {
    // Detached, so that a failed test cannot leave it busy.
    umount2(path, 2)
    server.join()
  }
  try body()
  return session.counts
}

@discardableResult
func withMount(
  _ files: some FileSystem, source: String = "small", _ body: (String) throws -> Void
) throws -> [OperationCount] {
  try withMount(files, source: source) { directory, _ in try body(directory) }
}

/// Seconds until something was so, looking again and again; nil when it was not after 20.
func seconds(until isSo: () throws -> Bool, atMost limit: Double = 180) rethrows -> Double? {
  let start = Clock.monotonic()
  while true {
    if try isSo() { return Double(Clock.monotonic() - start) / 1e9 }
    if Double(Clock.monotonic() - start) > limit * 1e9 { return nil }
    Clock.sleep(nanoseconds: 1_000_000)
  }
}

/// Runs a shell script in a directory.
/// - Returns: its exit status.
func shell(_ script: String, in directory: String) throws(Errno) -> Int32 {
  let child = try Spawn.start("sh", ["sh", "-c", "cd \"$0\" && { \(script)\n}", directory])
  return try Spawn.wait(for: child)
}

/// All bytes of a file, by read(2).
func read(_ path: String, directIO: Bool = false) throws(Errno) -> [UInt8] {
  let direct: Int32 = 0x4000  // O_DIRECT
  let file = try FileDescriptor(opening: path, OpenOptions(rawValue: O_RDONLY | (directIO ? direct : 0)))
  let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
  defer { piece.deallocate() }
  var bytes: [UInt8] = []
  while true {
    let count = try file.read(into: piece)
    if count == 0 { return bytes }
    bytes += piece[..<count]
  }
}

/// Whether a file, mapped, looks like the small file system's big one.
func isPattern(_ path: String) throws -> Bool {
  let file = try FileDescriptor(opening: path, .readOnly)
  let mapping = try Mapping(of: file, count: try file.status().size, writable: false)
  return mapping.bytes.elementsEqual(SmallFileSystem.pattern)
}

/// The names in a directory, sorted.
func names(_ path: String) throws(Errno) -> [String] {
  guard let directory = opendir(path) else { throw .current }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
  }
  return names.sorted()
}

/// A page that is mapped by frame number, as a device's memory is: one of the kernel's clock data.
func clockPage() -> UnsafeRawBufferPointer? {
  guard let table = try? readSmallFile("/proc/self/maps") else { return nil }
  for line in String(decoding: table, as: UTF8.self).split(separator: "\n") where line.contains("[vvar]") {
    guard let start = line.split(separator: "-").first.flatMap({ UInt($0, radix: 16) }) else { continue }
    return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: start), count: 4096)
  }
  return nil
}

/// A function of the C library that Swift does not see.
private func function<Signature>(_ name: String, as type: Signature.Type) -> Signature? {
  dlsym(dlopen(nil, RTLD_NOW), name).map { unsafeBitCast($0, to: type) }
}

/// renameat2(2).
func rename(_ path: String, to newPath: String, _ flags: UInt32) throws(Errno) {
  typealias Rename =
    @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
  guard let call = function("renameat2", as: Rename.self) else { throw .noSystemCall }
  try retrying { call(AT_FDCWD, path, AT_FDCWD, newPath, flags) }
}

/// Seconds of a file's birth time, by statx(2).
func birthSecond(of path: String) -> Int64? {
  typealias Statx =
    @convention(c) (Int32, UnsafePointer<CChar>, Int32, UInt32, UnsafeMutableRawPointer?) -> Int32
  let everything: UInt32 = 0xfff
  var buffer = [UInt8](repeating: 0, count: 256)
  let failed = buffer.withUnsafeMutableBytes { bytes in
    function("statx", as: Statx.self)?(AT_FDCWD, path, 0, everything, bytes.baseAddress)
  }
  let fields = buffer.span.bytes
  guard failed == 0, fields.u32(0) & 0x800 != 0 else { return nil }
  return Int64(bitPattern: fields.u64(80))
}

/// An extended attribute's value, by getxattr(2).
func attribute(_ name: String, of path: String) -> String? {
  typealias Getxattr =
    @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
  var buffer = [UInt8](repeating: 0, count: 100)
  let count = buffer.withUnsafeMutableBytes { bytes in
    function("getxattr", as: Getxattr.self)?(path, name, bytes.baseAddress, bytes.count)
  }
  guard let count, count >= 0 else { return nil }
  return String(decoding: buffer[..<count], as: UTF8.self)
}

/// Makes the calling thread, and no other, user and group 65534: glibc's own function would take along all threads.
func becomeNobody() throws(Errno) {
  typealias SystemCall = @convention(c) (Int, UInt, UInt, UInt) -> Int
  #if arch(x86_64)
    let (groups, group, user) = (116, 119, 117)
  #else
    let (groups, group, user) = (159, 149, 147)
  #endif
  guard let call = function("syscall", as: SystemCall.self) else { throw .noSystemCall }
  try retrying { call(groups, 0, 0, 0) }
  try retrying { call(group, 65534, 65534, 65534) }
  try retrying { call(user, 65534, 65534, 65534) }
}

/// What an ordinary user does: mount, use, unmount.
func asUser(_ path: String) throws {
  let door = try Mounting.mount(on: path, MountOptions(source: "a, b", subtype: "small"))
  let session = Session(SmallFileSystem(), over: door)
  let server = try Thread(named: "session") { _ = try? session.run(threads: 2) }
  let mount = try Mount.all().last { $0.mountPoint == path }
  let isRight = mount?.source == "a, b" && mount?.type == "fuse.small"
  let contents = try read("\(path)/big")
  try Mounting.unmount(path)
  server.join()
  guard isRight, contents == SmallFileSystem.pattern else { throw Errno.protocolError }
}
