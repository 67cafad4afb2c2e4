import CDaxctl
import Famfs
import Glibc
import Memory
import Platform

/// What switching a dax device's mode is made of. All errors are the kernel's.
protocol DaxControl {
  /// Whether the kernel has a mode's driver, once its module is loaded.
  func has(_ mode: DaxMode) -> Bool
  /// Whether the kernel brings memory online by itself as soon as it has it.
  func onlinesItself() -> Bool
  /// Of a device in mode system-ram, how many memory blocks are online.
  func onlineBlocks() throws(Errno) -> Int
  /// Brings its memory online, where it can be taken offline again, or takes it offline.
  func setOnline(_ isOnline: Bool) throws(Errno)
  /// Takes the device from its driver.
  func disable() throws(Errno)
  /// Gives a disabled device to a mode's driver.
  func enable(_ mode: DaxMode) throws(Errno)
}

/// By libdaxctl, which knows how devices and memory blocks belong together; famfs mode, which only its newest versions
/// know, by sysfs.
struct LibraryDaxControl: DaxControl {
  private let name: String
  private let tree: DaxTree

  /// - Throws: a sentence, where the library is not installed.
  init(_ device: DaxDevice, in tree: DaxTree) throws(FamfsError) {
    guard weft_dax_load() else {
      throw .other(
        "libdaxctl.so.1, which switches modes, is not installed; install it (on Debian, the package libdaxctl1)")
    }
    (name, self.tree) = (device.name, tree)
  }

  /// Looks afresh each time, for the library remembers what it saw.
  private func call(_ body: (UnsafeMutablePointer<weft_dax>) -> Int32) throws(Errno) -> Int {
    var dax = weft_dax()
    guard weft_dax_open(name, &dax) else { throw .noDevice }
    defer { weft_dax_close(&dax) }
    let result = body(&dax)
    if result < 0 { throw Errno(rawValue: -result) }
    return Int(result)
  }

  func has(_ mode: DaxMode) -> Bool {
    let isThere = { (try? FileStatus(path: tree.folder(of: mode))) != nil }
    if isThere() { return true }
    // That there is no such module is told below.
    guard let silence = try? FileDescriptor(opening: "/dev/null", .writeOnly) else { return false }
    var options = Spawn.Options()
    options.standardError = silence.rawValue
    let child = try? Spawn.start("modprobe", ["modprobe", mode.driver], options)
    if let child { _ = try? Spawn.wait(for: child) }
    return isThere()
  }

  func onlinesItself() -> Bool { (try? call(weft_dax_onlines_itself)) ?? 0 > 0 }

  func onlineBlocks() throws(Errno) -> Int { try call(weft_dax_online_blocks) }

  func setOnline(_ isOnline: Bool) throws(Errno) { _ = try call { weft_dax_set_online($0, isOnline) } }

  func disable() throws(Errno) {
    _ = try call(weft_dax_disable)
    // Else the driver of famfs mode would go on taking a device of this name when it is looked for one.
    try? write(to: "remove_id")
  }

  func enable(_ mode: DaxMode) throws(Errno) {
    if mode != .famfs {
      _ = try call { weft_dax_enable($0, mode == .systemRAM) }
    } else {
      // A driver that learns the name takes the device, if no other driver has it.
      try write(to: "new_id")
      if tree.find(name)?.driver == nil { try write(to: "bind") }
    }
    guard tree.find(name)?.mode == mode else { throw .noSuchAddress }
  }

  private func write(to attribute: String) throws(Errno) {
    try FileDescriptor(opening: tree.folder(of: .famfs) + "/" + attribute, .writeOnly).write(name)
  }
}
