import Famfs
import Memory
import Platform

/// Switching a dax device from one mode to another, with the checks that daxctl makes, and those that a famfs wants. What
/// can be refused is refused before anything is changed.
struct ModeSwitch {
  let device: DaxDevice
  let target: DaxMode
  /// Takes memory offline, and gives up what the device holds.
  var force = false
  /// Leaves memory offline.
  var leavesOffline = false

  /// Does it.
  /// - Parameter use: what the device is used for at this moment.
  /// - Throws: a sentence. Unless it says otherwise the device is in the mode that it was in.
  func run(_ control: some DaxControl, _ use: DeviceUse) throws(FamfsError) {
    let name = device.name
    if let driver = device.driver, device.mode == nil {
      throw .other("\(name) belongs to the driver \(driver), which this program does not know; disable it first")
    }
    if device.mode == target { return }
    if let user = use.user {
      throw .other("\(name) is in use: \(user); end that first")
    }
    guard control.has(target) else {
      throw .other(
        "this kernel has no driver \(target.driver), which mode \(target.rawValue) needs; install a kernel that has it")
    }
    if target == .systemRAM { try checkMayBecomeMemory(control, use) }
    if device.mode == .systemRAM { try takeOffline(control) }
    try explaining("\(name) cannot be taken from its driver") { () throws(Errno) in try control.disable() }
    do throws(Errno) { try control.enable(target) } catch { throw goBack(control, after: error) }
    if target == .systemRAM && !leavesOffline {
      try explaining("\(name) is in mode system-ram now, but its memory cannot be brought online") {
        () throws(Errno) in try control.setOnline(true)
      }
    }
  }

  /// What becomes memory of the host is overwritten.
  private func checkMayBecomeMemory(_ control: some DaxControl, _ use: DeviceUse) throws(FamfsError) {
    if force { return }
    if let volume = use.volume {
      throw .other(
        "\(device.name) holds the famfs \(volume), and as system-ram it would be overwritten, for all hosts; to do so all "
          + "the same use --force")
    }
    if case .failure(let reason) = use.contents {
      throw .other(
        "what \(device.name) holds cannot be seen (\(reason)), and as system-ram it would be overwritten; to do so all the "
          + "same use --force")
    }
    if control.onlinesItself() {
      throw .other(
        "the kernel brings new memory online by itself (/sys/devices/system/memory/auto_online_blocks), and then it may "
          + "never go offline again; write offline there, or use --force")
    }
  }

  private func takeOffline(_ control: some DaxControl) throws(FamfsError) {
    let count = { () throws(Errno) in try control.onlineBlocks() }
    let untold = "how much memory of \(device.name) is online cannot be told"
    let online = try explaining(untold, count)
    if online == 0 { return }
    guard force else {
      throw .other(
        "\(online) memory blocks of \(device.name) are online, and programs may use them; to take them offline use --force"
      )
    }
    try explaining("the memory of \(device.name) is in use, and cannot be taken offline") { () throws(Errno) in
      try control.setOnline(false)
    }
    let left = try explaining(untold, count)
    guard left == 0 else {
      throw .other(
        "\(left) memory blocks of \(device.name) are in use, and cannot be taken offline; end what uses them, or restart"
      )
    }
  }

  /// Its old mode, where the new one cannot be had.
  private func goBack(_ control: some DaxControl, after error: Errno) -> FamfsError {
    let failed = "\(device.name) cannot be switched to mode \(target.rawValue): \(error)"
    guard let mode = device.mode else { return .other(failed) }
    do throws(Errno) { try control.enable(mode) } catch {
      return .other("\(failed); now it is disabled, for it cannot be switched back either: \(error)")
    }
    return .other("\(failed); it is in mode \(mode.rawValue) again")
  }

  private func explaining<Value>(
    _ problem: String, _ body: () throws(Errno) -> Value
  ) throws(FamfsError) -> Value {
    do throws(Errno) { return try body() } catch { throw .other("\(problem): \(error)") }
  }
}
