import CYardstick
import Glibc

/// mknod(2), and the use of pipes, sockets and devices.
enum SpecialFileCases {
  static let all: [YardstickCase] = [
    YardstickCase("mknod", "each kind is made, with the mode that the umask leaves") { t in
      try t.withUmask(0o022) {
        for kind in [S_IFIFO, S_IFSOCK, S_IFREG] {
          try t.mknod("\(kind)", kind | 0o666).ok()
          t.equal(try t.lstat("\(kind)").mode, kind | 0o644)
          t.equal(try t.lstat("\(kind)").links, 1)
        }
        try t.mknod("0", 0o600).ok()
        t.equal(try t.lstat("0").mode, S_IFREG | 0o600, "no kind is a regular file")
      }
      t.mknod("d", S_IFDIR | 0o755).fails(EPERM)
      t.mknod("l", S_IFLNK | 0o755).fails(EINVAL)
      t.mknod("x", 0o170000).fails(EINVAL)
      t.mknod("\(S_IFIFO)", S_IFIFO | 0o600).fails(EEXIST)
    },
    YardstickCase("mknod", "a named pipe carries bytes between two opens") { t in
      try t.mknod("p", S_IFIFO | 0o600).ok()
      t.open("p", O_WRONLY | O_NONBLOCK).fails(ENXIO)
      let reader = try t.open("p", O_RDONLY | O_NONBLOCK).file()
      let writer = try t.open("p", O_WRONLY).file()
      writer.write(bytes("through")).gives(7)
      t.equal(try reader.read(100), bytes("through"))
      reader.reading(10).fails(EAGAIN)
      t.equal(try t.stat("p").size, 0)
      writer.close().gives(0)
      reader.reading(10).gives(0)
      reader.close().gives(0)
    },
    YardstickCase("mknod", "a named pipe that was renamed or has two names is one pipe", needs: [.hardLinks]) { t in
      try t.mknod("p", S_IFIFO | 0o600).ok()
      let reader = try t.open("p", O_RDONLY | O_NONBLOCK).file()
      try t.link("p", "q").ok()
      try t.rename("p", "r").ok()
      let writer = try t.open("q", O_WRONLY | O_NONBLOCK).file()
      writer.write(bytes("x")).gives(1)
      t.equal(try reader.read(9), bytes("x"))
      writer.close().gives(0)
      reader.close().gives(0)
    },
    YardstickCase("mknod", "a socket is bound to a name, and found by it") { t in
      let server = File(Int32(try t.call("socket", SYS_socket, Int(AF_UNIX), 1, 0).ok()), t)
      let client = File(Int32(try t.call("socket", SYS_socket, Int(AF_UNIX), 1, 0).ok()), t)
      let address: [UInt8] = [UInt8(AF_UNIX), 0] + bytes("socket") + [0]
      address.withUnsafeBytes { server.call("bind", SYS_bind, $0.address, $0.count).gives(0) }
      t.equal(try t.lstat("socket").type, S_IFSOCK)
      server.call("listen", SYS_listen, 1).gives(0)
      t.open("socket", O_RDONLY).fails(ENXIO)
      address.withUnsafeBytes {
        client.call("connect", SYS_connect, $0.address, $0.count).gives(0)
      }
      let accepted = File(Int32(try server.call("accept4", SYS_accept4, 0, 0).ok()), t)
      client.write(bytes("hello")).gives(5)
      t.equal(try accepted.read(9), bytes("hello"))
      for file in [server, client, accepted] { file.close().gives(0) }
      let again = File(Int32(try t.call("socket", SYS_socket, Int(AF_UNIX), 1, 0).ok()), t)
      address.withUnsafeBytes { again.call("bind", SYS_bind, $0.address, $0.count).fails(EADDRINUSE) }
      again.close().gives(0)
      try t.unlink("socket").ok()
    },
    YardstickCase("mknod", "a device file is the device", needs: [.root, .devices]) { t in
      let null: UInt = 1 << 8 | 3, zero: UInt = 1 << 8 | 5
      try t.mknod("null", S_IFCHR | 0o666, null).ok()
      try t.mknod("zero", S_IFCHR | 0o666, zero).ok()
      t.equal(try t.stat("null").special, UInt64(null))
      let file = try t.open("null", O_RDWR).file()
      file.write(pattern(1000)).gives(1000)
      file.reading(10).gives(0)
      file.close().gives(0)
      let zeros = try t.open("zero", O_RDONLY).file()
      t.equal(try zeros.read(5), [0, 0, 0, 0, 0])
      zeros.close().gives(0)
    },
    YardstickCase("mknod", "device numbers of all sizes are kept", needs: [.root]) { t in
      for (major, minor) in [(0, 0), (1, 3), (255, 255), (256, 0), (4095, 1_048_575), (8, 65_536)] as [(UInt, UInt)] {
        let device = minor & 0xff | major << 8 | (minor & ~0xff) << 12  // As the kernel takes it: new_encode_dev.
        for kind in [S_IFCHR, S_IFBLK] {
          try t.mknod("dev", kind | 0o600, device).ok()
          let about = try t.lstat("dev")
          t.equal(about.type, kind)
          t.equal(about.special, UInt64(device), "device \(major):\(minor)")
          try t.unlink("dev").ok()
        }
      }
    },
    YardstickCase("mknod", "devices are root's to make, pipes and sockets anybody's", needs: [.root]) { t in
      try t.mkdir("d").ok()
      try t.chmod("d", 0o777).ok()
      try t.asUser(User.alice) {
        t.mknod("d/c", S_IFCHR | 0o666, 1 << 8 | 3).fails(EPERM)
        t.mknod("d/b", S_IFBLK | 0o666, 7 << 8).fails(EPERM)
        try t.mknod("d/p", S_IFIFO | 0o600).ok()
        try t.mknod("d/s", S_IFSOCK | 0o600).ok()
      }
      t.equal(try t.list("d"), ["p", "s"])
    },
    YardstickCase("mknod", "seeking in a pipe is ESPIPE, and pread too") { t in
      try t.mknod("p", S_IFIFO | 0o600).ok()
      let pipe = try t.open("p", O_RDWR | O_NONBLOCK).file()
      pipe.seek(0).fails(ESPIPE)
      pipe.preading(1, at: 0).fails(ESPIPE)
      pipe.pwrite([1], at: 0).fails(ESPIPE)
      pipe.truncate(0).fails(EINVAL)
      pipe.close().gives(0)
    },
  ]
}
