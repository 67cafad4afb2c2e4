import Famfs
import Glibc
import Memory
import Platform
import Testing

@testable import FamfsCommands

/// The plain files that mkfs.famfs --size and famfs devadd --size make.
@Suite struct SimulatedDeviceTests {
  @Test("a file that is exchanged for another before it is opened is refused")
  func exchanged() throws {
    var template = Array("/dev/shm/weft-simulated-XXXXXX".utf8CString)
    let folder = try String(cString: #require(mkdtemp(&template)))
    let (path, old) = (folder + "/device", folder + "/old")
    defer {
      for name in [path, old] { unlink(name) }
      rmdir(folder)
    }
    let made = try SimulatedDevice(path, size: 4 << 20)
    try made.check(MappedDevice(path: path, writable: true))
    try retrying { rename(path, old) }
    let other = try SimulatedDevice(path, size: 4 << 20)
    let device = try MappedDevice(path: path, writable: true)
    try other.check(device)
    #expect(throws: FamfsError.self) { try made.check(device) }
  }
}
