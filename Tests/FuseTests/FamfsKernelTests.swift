import Glibc
import Platform
import Synchronization
import Testing

@testable import Fuse

@Suite("What the kernel is asked about famfs", .timeLimit(.minutes(15))) struct FamfsKernelTests {
  private func probes(_ hasFamfs: Bool, _ answer: Int32?) -> KernelProbes {
    KernelProbes(hasFamfs: { hasFamfs }, openDaxDevice: { answer.map { Errno(rawValue: $0) } })
  }

  @Test("ENOTTY is the protocol that pulls, and any other answer the one that is pushed to")
  func answers() {
    #expect(probes(true, ENOTTY).famfsProtocol() == .pulled)
    for answer in [0, EBADF, EOPNOTSUPP, EINVAL, ENODEV, EBUSY, EPERM] {
      #expect(probes(true, answer).famfsProtocol() == .pushed)
    }
    #expect(probes(true, nil).famfsProtocol() == .none)
  }

  @Test("a kernel without famfs is not asked by ioctl, whose number is another feature's there")
  func order() {
    let calls = Atomic(0)
    let probes = KernelProbes(
      hasFamfs: { false },
      openDaxDevice: {
        calls.add(1, ordering: .relaxed)
        return .notTerminal
      })
    #expect(probes.famfsProtocol() == .none)
    #expect(calls.load(ordering: .relaxed) == 0)
  }

  @Test(
    "the symbol counts in a module and built in, whole, and in the last line",
    arguments: [
      ("ffffffff81a0b0c0 T famfs_fuse_iomap_begin\t[fuse]\n", true),
      ("0000000000000000 t famfs_fuse_iomap_begin\n", true),
      ("0000000000000000 t famfs_fuse_iomap_begin", true),
      ("ffffffff81a0b0c0 T famfs_fuse_iomap_begin_x\nffffffff81a0b0c0 T famfs_fuse_iomap_beg\n", false),
      ("ffffffff81a0b0c0 T __pfx_famfs_fuse_iomap_begin\t[fuse]\n", false),
      ("ffffffff81a0b0c0 T other\t[famfs_fuse_iomap_begin]\n", false),
      ("\n\n \nfamfs_fuse_iomap_begin\n", false), ("", false),
    ])
  func symbols(text: String, isThere: Bool) throws {
    let others = String(repeating: "ffffffff81000000 T startup_64\nffffffffc0001000 t init\t[dax]\n", count: 50_000)
    var template = Array("/tmp/weft-symbols-XXXXXX".utf8CString)
    let file = FileDescriptor(owning: mkstemp(&template))
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    try file.write(others + text)
    #expect(KernelProbes.hasSymbol(KernelProbes.famfsSymbol, in: path) == isThere)
    #expect(!KernelProbes.hasSymbol(KernelProbes.famfsSymbol, in: path + ".none"))
  }

  @Test("the running kernel's list of symbols is understood")
  func running() throws {
    // Where this user may read the list at all.
    guard let list = try? readSmallFile("/proc/kallsyms", limit: 1 << 20), !list.isEmpty else { return }
    let first = try #require(String(decoding: list, as: UTF8.self).split(separator: "\n").first)
    let name = String(try #require(first.split(separator: " ").last).prefix { $0 != "\t" })
    #expect(KernelProbes.hasSymbol(name, in: "/proc/kallsyms"))
    if !KernelProbes.hasSymbol(KernelProbes.famfsSymbol, in: "/proc/kallsyms") {
      #expect(KernelProbes.running.famfsProtocol() == .none)
    }
  }
}
