import Foundation
import Platform
import Testing

/// Files mapped as the memory that they are: `famfs exec` and libfamfs.
@Suite(.realMounts, .enabled(if: Machine.hasPython, "needs python3"), .timeLimit(.minutes(15)))
struct DirectMappingTests {
  /// What the scripts begin with: the calls of libc, past Python's own mmap.
  private static let prologue = """
    import ctypes, mmap, os, signal, sys, threading
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    SHARED, PRIVATE, FIXED, R, RW = 1, 2, 16, 1, 3
    BAD = ctypes.c_void_p(-1).value
    def at(place, count): return ctypes.string_at(place, count)
    def put(place, data): ctypes.memmove(place, data, len(data))
    def ends(body):
        pid = os.fork()
        if pid == 0:
            try: body()
            except BaseException: os._exit(99)
            os._exit(0)
        return os.wait()[1]
    def error(result): return ctypes.get_errno() if result == BAD else None
    def is_direct(place):
        for line in open("/proc/self/maps"):
            ends = [int(n, 16) for n in line.split()[0].split("-")]
            if ends[0] <= place < ends[1]: return line.rstrip().endswith("/device")

    """

  private func run(_ script: String, _ arguments: String..., directly: Bool) throws -> Outcome {
    let words =
      (directly ? ["famfs", "exec", "--"] : []) + ["python3", "-c", DirectMappingTests.prologue + script] + arguments
    return try IntegrationTests.run(words)
  }

  @Test(
    "what programs can tell of a mapping is the same with and without",
    arguments: [[], ["-N", "3", "-B", "4", "-C", "2m"]])
  func same(striping: [String]) throws {
    let script = """
      path = sys.argv[1]
      file, own = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)
      size = os.fstat(file).st_size
      whole = os.pread(own, size, 0)
      pages = (size + 4095) // 4096 * 4096
      p = libc.mmap(None, size, RW, SHARED, file, 0)
      print("whole", at(p, size) == whole, at(p + size, pages - size) == bytes(pages - size))
      q = libc.mmap(None, 8192, R, SHARED, own, 4096 * 600)
      print("offset", at(q, 8192) == whole[4096 * 600:4096 * 602])
      print("read-only", ends(lambda: put(q, b"x")), libc.mprotect(q, 4096, RW), ctypes.get_errno())
      print("refused", error(libc.mmap(None, 4096, RW, SHARED, own, 0)), error(libc.mmap(None, 4096, R, SHARED, file, 1)),
            error(libc.mmap(None, 0, R, SHARED, file, 0)), error(libc.mmap(None, 4096, R, SHARED, 999, 0)))
      r = libc.mmap(None, pages + 8192, R, SHARED, file, 0)
      print("past the end", at(r, size) == whole, ends(lambda: at(r + pages, 1)))
      s = libc.mmap(None, 4096, R, SHARED, file, pages + 4096)
      print("behind the end", s != BAD and ends(lambda: at(s, 1)))
      t = libc.mmap(None, size, RW, PRIVATE, own, 0)
      put(t + 5000, b"mine")
      print("private", at(t, 5000) == whole[:5000], at(t + 5000, 4), os.pread(own, 4, 5000) == whole[5000:5004])
      def child():
          assert at(t + 5000, 4) == b"mine" and at(p, size) == whole
          put(t + 5000, b"kids")
          libc.munmap(p, size)
      print("fork", ends(child), at(t + 5000, 4), at(p, 10) == whole[:10])
      print("munmap", libc.munmap(p + 4096 * 300, 4096 * 10), at(p, 4096 * 300) == whole[:4096 * 300],
            at(p + 4096 * 310, 4096) == whole[4096 * 310:4096 * 311], ends(lambda: at(p + 4096 * 305, 1)))
      u = libc.mmap(p + 4096 * 302, 4096 * 2, R, SHARED | FIXED, own, 4096 * 7)
      print("fixed", u == p + 4096 * 302, at(u, 8192) == whole[4096 * 7:4096 * 9], ends(lambda: at(u + 8192, 1)))
      print("noreplace", error(libc.mmap(u, 4096, R, SHARED | 0x100000, own, 0)))
      v = libc.mremap(libc.mmap(None, 4096 * 3, R, SHARED, own, 4096 * 511), 4096 * 3, pages, 1)
      rest = pages - 4096 * 511
      print("grown", at(v, size - 4096 * 511) == whole[4096 * 511:], ends(lambda: at(v + rest, 1)), libc.mprotect(v, 4096, RW))
      w = libc.mremap(t, pages, pages + 4096 * 5000, 1)
      print("grown private", at(w + 5000, 4), at(w, 5000) == whole[:5000], at(w + 6000, 10) == whole[6000:6010])
      x = libc.mremap(w, pages + 4096 * 5000, 4096, 1)
      print("shrunk", x == w, ends(lambda: at(w + 4096, 1)), ends(lambda: at(w + 4095, 1)))
      print("in place", error(libc.mremap(q, 8192, 1 << 40, 0)), at(q, 10) == whole[4096 * 600:4096 * 600 + 10])
      print("remove", libc.madvise(ctypes.c_void_p(p), 4096, 9), ctypes.get_errno(), at(p, 10) == whole[:10])
      far = 1024 * 4096
      y = libc.mmap(None, 4 * far, R, SHARED, own, 0)
      libc.mmap(y + 4 * far, 4096, 0, PRIVATE | FIXED | 32, -1, 0)
      z = libc.mremap(y + 3 * far, far, 16 * far, 1)
      print("moved from behind the end", error(z), ends(lambda: at(z, 1)), at(y, size) == whole)
      aa = libc.mmap(None, size, RW, SHARED, file, 0)
      libc.mprotect(aa + 4096, 4096, 0)
      print("msync", libc.msync(ctypes.c_void_p(aa), size, 4), libc.msync(ctypes.c_void_p(aa + 4096), 4096, 1),
            libc.msync(ctypes.c_void_p(aa + 1), 4096, 4), libc.msync(ctypes.c_void_p(aa), size, 5))
      libc.mprotect(aa + 4096, 4096, RW)
      print("pages", libc.remap_file_pages(ctypes.c_void_p(aa), 8192, 0, 600, 0), at(aa, 8192) == whole[4096 * 600:4096 * 602],
            libc.remap_file_pages(ctypes.c_void_p(aa), 8192, 1, 600, 0), libc.remap_file_pages(ctypes.c_void_p(y), 4096, 0, 0, 0),
            at(aa + 8192, 10) == whole[8192:8202], libc.munmap(aa, pages))
      os.close(file); os.close(own)
      print("closed", at(v, 10) == whole[4096 * 511:4096 * 511 + 10])
      sums = []
      def work(n):
          for _ in range(50):
              f = os.open(path, os.O_RDONLY)
              m = mmap.mmap(f, size, prot=mmap.PROT_READ); os.close(f)
              sums.append(m[n * 1000:n * 1000 + 9] == whole[n * 1000:n * 1000 + 9]); m.close()
      threads = [threading.Thread(target=work, args=[n]) for n in range(4)]
      [t.start() for t in threads]; [t.join() for t in threads]
      print("threads", len(sums), all(sums))
      """
    try withVolume { volume in
      try succeed(
        IntegrationTests.run(
          ["famfs", "creat", "-r", "-S", "3", "-s", "9003001"] + striping + [volume.master + "/f"],
          environment: Host.master.environment))
      let plain = try run(script, volume.master + "/f", directly: false)
      let direct = try run(script, volume.master + "/f", directly: true)
      try succeed(plain)
      try succeed(direct)
      #expect(plain.stdout.contains("threads 200 True"))
      #expect(plain.stdout == direct.stdout)
      // What was private stayed so.
      try succeed(volume.famfs("verify", "-S", "3", "-f", volume.master + "/f"))
    }
  }

  @Test("ranges of several areas are moved, cut and refused as on the plain mount")
  func areas() throws {
    let script = """
      import zlib
      path, P = sys.argv[1], 4096
      file, own = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)
      memory = os.open("/proc/self/mem", os.O_RDONLY)
      def page(place):
          try: return "%x" % zlib.crc32(os.pread(memory, P, place))
          except OSError: return "-"
      def make(kind):
          p = libc.mmap(None, 32 * P, 0, PRIVATE | 32, -1, 0)
          if kind < 4: libc.mmap(p, 8 * P, RW, SHARED | FIXED, file, 0)
          if kind == 0 or kind == 4: libc.mmap(p + 8 * P, 8 * P, R, SHARED | FIXED, own, 600 * P)
          if kind == 1: libc.mmap(p, 16 * P, RW, SHARED | FIXED, file, 0), libc.mprotect(p + 4 * P, 4 * P, R)
          if kind == 2: libc.mmap(p, 16 * P, RW, SHARED | FIXED, file, 0), libc.munmap(p + 4 * P, 4 * P)
          if kind == 3: libc.mmap(p + 8 * P, 8 * P, RW, PRIVATE | FIXED | 32, -1, 0)
          if kind == 4: libc.mmap(p, 8 * P, RW, PRIVATE | FIXED | 32, -1, 0)
          return p
      for kind in range(5):
          for old, new in [(16, 16), (16, 20), (16, 12), (16, 4), (12, 12), (4, 4), (6, 9), (12, 3), (0, 4)]:
              for fixed in [False, True]:
                  p, t = make(kind), libc.mmap(None, 32 * P, 0, PRIVATE | 32, -1, 0)
                  q = libc.mremap(p, old * P, new * P, 3, ctypes.c_void_p(t)) if fixed else libc.mremap(p, old * P, new * P, 1)
                  where = {BAD: error(q), p: "same", t: "there"}.get(q, "elsewhere")
                  print(kind, old, new, fixed, where, [page(p + n * P) for n in range(16)],
                        [page(q + n * P) for n in range(new)] if q != BAD else "")
                  # What was moved is still known for what it is.
                  if q != BAD and new == 4: print(libc.madvise(ctypes.c_void_p(q), P, 9) if kind < 4 else "")
                  libc.munmap(p, 32 * P); libc.munmap(t, 32 * P)
                  if where == "elsewhere": libc.munmap(q, new * P)
      pages = (os.fstat(file).st_size + P - 1) // P * P
      for handle, kind in [(own, SHARED), (file, SHARED), (own, PRIVATE)]:
          s = libc.mmap(None, 3 * P, R, kind, handle, pages - P)
          print("behind the end", [(libc.mprotect(s + n * P, P, RW), ctypes.get_errno()) for n in range(3)])
      """
    try withVolume { volume in
      try succeed(volume.famfs("creat", "-r", "-S", "3", "-s", "9003001", volume.master + "/f"))
      let plain = try run(script, volume.master + "/f", directly: false)
      let direct = try run(script, volume.master + "/f", directly: true)
      try succeed(plain)
      try succeed(direct)
      let pairs = zip(plain.stdout.split(separator: "\n"), direct.stdout.split(separator: "\n"))
      for (expected, found) in pairs { #expect(expected == found) }
      #expect(plain.stdout.split(separator: "\n").count == direct.stdout.split(separator: "\n").count)
      #expect(plain.stdout.contains("behind the end [(-1, 13), (-1, 13), (-1, 13)]\n"))
    }
  }

  @Test("a store by a program on one host is seen by a load on another, with nothing between")
  func shared() throws {
    let script = """
      a, b = [os.open(path + "/f", os.O_RDWR) for path in sys.argv[1:3]]
      p, q = libc.mmap(None, 5 << 20, RW, SHARED, a, 0), libc.mmap(None, 5 << 20, RW, SHARED, b, 0)
      print(is_direct(p), is_direct(q), p % (2 << 20), q % (2 << 20))
      put(p + 3000000, b"seen"); print(at(q + 3000000, 4))
      print(os.pread(a, 4, 3000000), libc.msync(ctypes.c_void_p(p), 5 << 20, 4))
      put(q + 10, b"back"); print(at(p + 10, 4))
      """
    try withVolume(client: true) { volume in
      try succeed(volume.famfs("creat", "-s", "5m", volume.master + "/f"))
      try #require(seconds(until: { access(volume.client + "/f", F_OK) == 0 }) != nil)
      let outcome = try run(script, volume.master, volume.client, directly: true)
      #expect(outcome.stdout == "True True 0 0\nb'seen'\nb'seen' 0\nb'back'\n", "\(outcome.stderr)")
    }
  }

  @Test("what is not a committed file of a famfs, or may be removed, is mapped as always")
  func others() throws {
    let script = """
      for path in sys.argv[1:]:
          file = os.open(path, os.O_RDWR)
          p = libc.mmap(None, 4096, RW, SHARED, file, 0)
          print(is_direct(p), at(p, 3))
      print(libc.munmap(libc.mmap(None, 1 << 20, RW, PRIVATE | 32, -1, 0), 1 << 20))
      """
    for options in [[], ["--reclaim"]] {
      try withVolume(options, mounting: ["--commit", "600"]) { volume in
        try volume.add("committed", count: 5000)
        try write([1, 2, 3], to: volume.master + "/staged")
        let other = try volume.room.file("other", [1, 2, 3])
        let outcome = try run(script, volume.master + "/committed", volume.master + "/staged", other, directly: true)
        let bytes = contents(5000)
        let first = bytes[..<3].map { $0 }
        let line = { (isDirect: String, bytes: [UInt8]) in
          isDirect + " b'" + bytes.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "'"
        }
        let lines = outcome.stdout.split(separator: "\n").map(String.init)
        try #require(lines.count == 4, "\(outcome.stderr)")
        #expect(lines[0].hasPrefix(options == [] ? "True" : "False"))
        #expect(first.count == 3 && lines[1] == line("False", [1, 2, 3]) && lines[2] == line("False", [1, 2, 3]))
        #expect(lines[3] == "0")
      }
    }
  }

  @Test("a device that is another by now, or that this user may not open, is not mapped")
  func refused() throws {
    let script = """
      file = os.open(sys.argv[1], os.O_RDONLY)
      p = libc.mmap(None, 4096, R, SHARED, file, 0)
      print(is_direct(p), at(p, 4096) == os.pread(file, 4096, 0))
      """
    try withVolume { volume in
      try volume.add("f", count: 5000)
      #expect(try run(script, volume.master + "/f", directly: true).stdout == "True True\n")
      // Another file under the device's name.
      let aside = volume.room.at("aside")
      #expect(rename(volume.device, aside) == 0)
      try volume.make()
      #expect(try run(script, volume.master + "/f", directly: true).stdout.hasSuffix(" True\n"))
      #expect(!(try run(script, volume.master + "/f", directly: true).stdout.hasPrefix("True")))
      #expect(rename(aside, volume.device) == 0)
      if Machine.usersCanRun {
        chmod(volume.device, 0o600)
        let words = [
          "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Machine.program("famfs"), "exec", "python3",
          "-c",
        ]
        let outcome = try IntegrationTests.run(words + [DirectMappingTests.prologue + script, volume.master + "/f"])
        #expect(outcome.stdout == "None True\n" || outcome.stdout == "False True\n", "\(outcome.stderr)")
      }
    }
  }

  @Test("the Python package gives memory, and says what is wrong")
  func package() throws {
    let script = """
      import famfs, os, sys
      mount, device = sys.argv[1:3]
      view = famfs.open(mount + "/f")
      print(view.readonly, len(view), famfs.is_direct(mount + "/f"), bytes(view) == open(mount + "/f", "rb").read())
      other = famfs.open(mount + "/f", writable=True, direct=True)
      other[7] = 99
      famfs.flush(other[4:9]); famfs.invalidate(view)
      print(view[7])
      volume = famfs.Volume(device)
      print(volume.mount_point == mount, volume.list("dir"), volume.stat("f").st_size, len(volume.open("/f")))
      del other
      rest = view[9:12]
      del view
      print(bytes(rest) == os.pread(os.open(mount + "/f", os.O_RDONLY), 3, 9))
      del rest
      print("/device" in open("/proc/self/maps").read())
      for attempt in [lambda: famfs.open(mount + "/none"), lambda: famfs.open(mount + "/dir"), lambda: famfs.Volume("/proc"),
                      lambda: famfs.open(mount + "/staged", direct=True)]:
          try: attempt()
          except OSError as error: print(error.errno)
      """
    try withVolume(mounting: ["--commit", "600"]) { volume in
      try succeed(volume.famfs("creat", "-r", "-S", "3", "-s", "3000001", volume.master + "/f"))
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try succeed(volume.famfs("creat", "-s", "5", volume.master + "/dir/inner"))
      try write([1], to: volume.master + "/staged")
      let outcome = try IntegrationTests.run(
        ["python3", "-c", script, volume.master, volume.device],
        environment: [
          "PYTHONPATH": Machine.sources + "/python", "PYTHONDONTWRITEBYTECODE": "1",
          "FAMFS_LIBRARY": Machine.programs + "/../lib/libfamfs.so",
        ])
      #expect(
        outcome.stdout
          == "True 3000001 True True\n99\nTrue ['inner'] 3000001 3000001\nTrue\nFalse\n2\n21\n19\n95\n",
        "\(outcome.stderr)")
    }
  }

  @Test(
    "the Python package is safe: views at the end, closed volumes, threads, paths, what other files say of themselves")
  func safety() throws {
    let script = """
      import atexit, os, sys, threading
      atexit.register(lambda: print("late", view[0] == first))
      import famfs
      mount, device, other = sys.argv[1:4]
      view = famfs.open(mount + "/f")
      first = view[0]
      try: os.setxattr(other, "user.famfs.map", os.getxattr(mount + "/f", "user.famfs.map"))
      except OSError: pass
      print(bytes(famfs.open(other)[:3]), famfs.is_direct(other))
      volume = famfs.Volume(mount)
      for attempt in [lambda: famfs.open(mount + "/f\\0"), lambda: famfs.Volume(device + "\\0"), lambda: volume.open("f\\0"),
                      lambda: volume.open("../../../../../../../../etc/passwd"), lambda: volume.stat("../etc/passwd"),
                      lambda: famfs.open(other, direct=True), lambda: volume.close() or volume.list()]:
          try: attempt(); print("no error")
          except ValueError as error: print(error)
          except OSError as error: print(error.errno, error.filename.replace(mount, "").replace(other, "other"))
      shared = [famfs.Volume(mount)]
      def use():
          for _ in range(500):
              try: shared[0].open("f"); shared[0].list()
              except ValueError: pass
      def close():
          for _ in range(200): old, shared[0] = shared[0], famfs.Volume(mount); old.close()
      threads = [threading.Thread(target=work) for work in [use, use, close]]
      [t.start() for t in threads]; [t.join() for t in threads]
      """
    try withVolume { volume in
      try succeed(volume.famfs("creat", "-r", "-S", "3", "-s", "3000001", volume.master + "/f"))
      let other = try volume.room.file("other", [120, 121, 122, 0])
      let outcome = try IntegrationTests.run(
        ["python3", "-c", script, volume.master, volume.device, other],
        environment: [
          "PYTHONPATH": Machine.sources + "/python", "PYTHONDONTWRITEBYTECODE": "1",
          "FAMFS_LIBRARY": Machine.programs + "/../lib/libfamfs.so",
        ])
      let null = "embedded null byte\n"
      #expect(
        outcome.stdout == "b'xyz' False\n" + null + null + null
          + "2 ../../../../../../../../etc/passwd\n2 /etc/passwd\n95 other\nthe volume is closed\nlate True\n",
        "\(outcome.stderr)")
      #expect(outcome.status == 0)
    }
  }

  @Test("mappings of thousands of pieces leave a program the areas that the kernel gives it")
  func pieces() throws {
    let script = """
      file = os.open(sys.argv[1], os.O_RDONLY)
      places = [libc.mmap(None, 33 << 20, R, SHARED, file, 0) for _ in range(20)]
      print(is_direct(places[0]), BAD in places, sum(1 for line in open("/proc/self/maps")) < 40000)
      print(all(at(place + (1 << 20), 4096) == os.pread(file, 4096, 1 << 20) for place in places))
      print([libc.munmap(place, 33 << 20) for place in places] == [0] * 20)
      print(is_direct(libc.mmap(None, 33 << 20, R, SHARED, file, 0)))
      """
    try withVolume(size: "128m", ["--alloc-unit", "4k"]) { volume in
      let striping = ["-N", "4", "-B", "4", "-C", "4k"]
      try succeed(
        IntegrationTests.run(
          ["famfs", "creat", "-r", "-S", "3", "-s", "33m"] + striping + [volume.master + "/f"],
          environment: Host.master.environment))
      let outcome = try run(script, volume.master + "/f", directly: true)
      #expect(outcome.stdout == "True False True\nTrue\nTrue\nTrue\n", "\(outcome.stderr)")
    }
  }

  @Test("mappings that are cut into more parts than can be kept in mind end where the file does")
  func parts() throws {
    let script = """
      file = os.open(sys.argv[1], os.O_RDWR)
      pages = 1280
      def cut(place):
          for page in range(0, pages, 2): libc.munmap(place + page * 4096, 4096)
          return place + (pages - 1) * 4096
      last = [cut(place) for place in [libc.mmap(None, pages * 4096, RW, SHARED, file, 0) for _ in range(27)]]
      grown = [libc.mremap(place, 4096, 8192, 1) for place in last]
      print(sum(place == BAD or ends(lambda: at(place + 4096, 1)) == 7 for place in grown))
      print(all(libc.madvise(ctypes.c_void_p(place), 4096, 9) == -1 for place in last), os.pread(file, 5, (pages - 1) * 4096) != bytes(5))
      """
    try withVolume { volume in
      for name in ["/f", "/next"] {
        try succeed(volume.famfs("creat", "-r", "-S", "3", "-s", "\(1280 * 4096)", volume.master + name))
      }
      let outcome = try run(script, volume.master + "/f", directly: true)
      #expect(outcome.stdout == "27\nTrue True\n", "\(outcome.stderr)")
    }
  }

  @Test("a C program finds, lists and maps files by libfamfs", .enabled(if: Machine.has("clang"), "needs clang"))
  func library() throws {
    let program = """
      #include <famfs.h>
      #include <stdio.h>
      #include <string.h>
      static int show(const char *name, void *count) { printf("%s ", name); return ++*(int *)count == 2 ? 5 : 0; }
      int main(int count, char **words) {
          famfs_volume *volume;
          struct famfs_mapping m, same;
          struct stat status;
          int seen = 0;
          if (count < 2) return 9;
          printf("%d ", famfs_open(words[1], &volume));
          printf("%s %d ", famfs_mount_point(volume), famfs_stat(volume, "/dir/f", &status));
          printf("%d %d ", famfs_list(volume, "dir", show, &seen), famfs_list(volume, "none", show, &seen));
          printf("%d ", famfs_map(volume, "dir/f", FAMFS_WRITE, &m));
          printf("%zu %d ", m.length, famfs_map(volume, "dir/f", 0, &same));
          memcpy((char *)m.address + 4999, "!", 1);
          printf("%d %c ", famfs_flush(m.address, m.length), ((char *)same.address)[4999]);
          printf("%d %d ", famfs_unmap(&m), famfs_commit(volume, "dir/f"));
          printf("%d %d\\n", famfs_map(volume, "dir", 0, &m), famfs_open("/proc/self", &volume));
          return 0;
      }
      """
    try withVolume { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try succeed(volume.famfs("creat", "-s", "5000", volume.master + "/dir/f"))
      try succeed(volume.famfs("creat", "-s", "5", volume.master + "/dir/g"))
      let source = try volume.room.file("program.c", Array(program.utf8))
      let (libraries, made) = (Machine.programs + "/../lib", volume.room.at("program"))
      try succeed(
        IntegrationTests.run([
          "clang", "-Wall", "-Wextra", "-Werror", "-I", Machine.sources + "/libfamfs", source, "-L", libraries,
          "-lfamfs",
          "-Wl,-rpath," + libraries, "-o", made,
        ]))
      let outcome = try IntegrationTests.run([made, volume.device])
      #expect(
        outcome.stdout == "0 \(volume.master) 0 f g 5 -2 1 5000 1 0 ! 0 0 -21 -19\n", "\(outcome.stderr)")
    }
  }

  @Test(
    "a program that maps before its main does, and threads that unmap and map at once, see the file's bytes",
    .enabled(if: Machine.has("clang"), "needs clang"))
  func threads() throws {
    let program = """
      #define _GNU_SOURCE
      #include <fcntl.h>
      #include <pthread.h>
      #include <stdio.h>
      #include <stdlib.h>
      #include <string.h>
      #include <sys/mman.h>
      #include <unistd.h>
      enum { EDGE = (2 << 20) - 4096 };
      static int file;
      static char expected[8192], *early;
      __attribute__((constructor)) static void before(void) {
          file = open(getenv("MAPPED"), O_RDONLY);
          early = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, EDGE);
      }
      static void *work(void *argument) {
          (void)argument;
          long wrong = 0;
          for (int n = 0; n < 3000; n++) {
              char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, EDGE);
              // Grown into the next strip, which lies elsewhere on the device.
              char *q = mremap(p, 4096, 8192, MREMAP_MAYMOVE);
              if (q == MAP_FAILED || memcmp(q, expected, 8192)) wrong++;
              if (q != MAP_FAILED) munmap(q, 8192);
          }
          return (void *)wrong;
      }
      int main(void) {
          pthread_t threads[4];
          long wrong = 0;
          void *one;
          if (pread(file, expected, 8192, EDGE) != 8192) return 2;
          for (int n = 0; n < 4; n++) pthread_create(&threads[n], NULL, work, NULL);
          for (int n = 0; n < 4; n++) pthread_join(threads[n], &one), wrong += (long)one;
          printf("%d %ld\\n", !memcmp(early, expected, 8192), wrong);
          char line[4096];
          FILE *maps = fopen("/proc/self/maps", "r");
          unsigned long from;
          while (fgets(line, sizeof line, maps))
              if (sscanf(line, "%lx-", &from) == 1 && from == (unsigned long)early) puts(strrchr(line, '/'));
          return 0;
      }
      """
    try withVolume { volume in
      let path = volume.master + "/f"
      try succeed(volume.famfs("creat", "-r", "-S", "5", "-s", "9000000", "-N", "3", "-B", "4", "-C", "2m", path))
      let (source, made) = (try volume.room.file("program.c", Array(program.utf8)), volume.room.at("program"))
      try succeed(IntegrationTests.run(["clang", "-O2", "-Wall", "-Werror", source, "-pthread", "-o", made]))
      let outcome = try IntegrationTests.run(["famfs", "exec", made], environment: ["MAPPED": path])
      #expect(outcome.stdout == "1 0\n/device\n\n", "\(outcome.stderr)")
    }
  }

  @Test(
    "a kernel of 64 KiB pages is asked for whole ones only", .enabled(if: Machine.has("clang"), "needs clang"))
  func largerPages() throws {
    let script =
      DirectMappingTests.prologue + """
        file = os.open(sys.argv[1], os.O_RDWR)
        whole = os.pread(file, 100_000, 0)
        p = libc.mmap(None, 5000, RW, SHARED, file, 0)
        for line in open("/proc/self/maps"):
            ends = [int(n, 16) for n in line.split()[0].split("-")]
            if ends[0] == p: print("pages", (ends[1] - ends[0]) // 65536, (ends[1] - ends[0]) % 65536)
        print("whole", is_direct(p), at(p, 5000) == whole[:5000])
        q = libc.mmap(None, 4096, R, SHARED, file, 65536)
        print("behind", is_direct(q), at(q, 4096) == whole[65536:69632])
        print("between", is_direct(libc.mmap(None, 4096, R, SHARED, file, 4096)))
        print("given back", libc.munmap(p, 5000), is_direct(p))
        """
    try withVolume { volume in
      try volume.add("file", count: 100_000)
      let (library, sources) = (volume.room.at("large.so"), Machine.sources)
      let names = ["exec", "records", "areas", "layout", "mounts", "memory"]
      let files = names.map { "libfamfs/\($0).c" } + ["Sources/CLinux/cache.c"]
      try succeed(
        IntegrationTests.run(
          ["clang", "-std=gnu17", "-fPIC", "-shared", "-DFAMFS_PAGE_SIZE=65536", "-I\(sources)/Sources/CLinux/include"]
            + ["-o", library] + files.map { "\(sources)/\($0)" } + ["-lz"]))
      let outcome = try IntegrationTests.run(
        ["python3", "-c", script, volume.master + "/file"], environment: ["LD_PRELOAD": library])
      #expect(
        outcome.stdout == "pages 1 0\nwhole True True\nbehind True True\nbetween False\ngiven back 0 None\n",
        "\(outcome.stderr)")
    }
  }

  @Test("mapping, growing and unmapping a file calls no malloc: an allocator may call mmap")
  func allocator() throws {
    let program = """
      #define _GNU_SOURCE
      #include <fcntl.h>
      #include <stdio.h>
      #include <stdlib.h>
      #include <string.h>
      #include <sys/mman.h>
      static char arena[8 << 20];
      static size_t used;
      static int is_inside, calls;
      void *malloc(size_t size) {
          calls += is_inside;
          used += (size + 31) & ~(size_t)15;
          if (used > sizeof arena) abort();
          return arena + used - ((size + 15) & ~(size_t)15);
      }
      void free(void *place) { (void)place; }
      void *calloc(size_t count, size_t size) { return malloc(count * size); }
      void *realloc(void *place, size_t size) { return place ? memcpy(malloc(size), place, size) : malloc(size); }
      int main(void) {
          int file = open(getenv("MAPPED"), O_RDWR), other = open("/proc/self/exe", O_RDONLY);
          is_inside = 1;
          char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
          char *o = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, other, 0);
          int changed = mprotect(p, 4096, PROT_READ) || mprotect(p, 4096, PROT_READ | PROT_WRITE);
          char *q = mremap(p, 8192, 3 << 20, MREMAP_MAYMOVE);
          int synced = msync(q, 3 << 20, MS_SYNC);
          is_inside = 0;
          char line[4096], *end = NULL;
          FILE *maps = fopen("/proc/self/maps", "r");
          unsigned long from;
          while (fgets(line, sizeof line, maps))
              if (sscanf(line, "%lx-", &from) == 1 && from == (unsigned long)q) end = strdup(strrchr(line, '/'));
          is_inside = 1;
          int unmapped = munmap(q, 3 << 20);
          is_inside = 0;
          printf("%d %d %d %d %d %s", o != MAP_FAILED, changed, synced, unmapped, calls, end ? end : "none");
          return 0;
      }
      """
    try withVolume { volume in
      let path = volume.master + "/f"
      try succeed(volume.famfs("creat", "-r", "-S", "5", "-s", "4m", path))
      let (source, made) = (try volume.room.file("program.c", Array(program.utf8)), volume.room.at("program"))
      try succeed(IntegrationTests.run(["clang", "-O1", "-fno-builtin", "-Wall", "-Werror", source, "-o", made]))
      let outcome = try IntegrationTests.run(["famfs", "exec", made], environment: ["MAPPED": path])
      #expect(outcome.stdout == "1 0 0 0 0 /device\n", "\(outcome)")
    }
  }

  @Test("famfs exec gives the program's status, passes its options on, and says what is missing")
  func statuses() throws {
    #expect(try IntegrationTests.run(["famfs", "exec", "sh", "-c", "exit 7"]).status == 7)
    #expect(try IntegrationTests.run(["famfs", "exec", "--", "echo", "-v", "", "--help"]).stdout == "-v  --help\n")
    expectRefusal(try IntegrationTests.run(["famfs", "exec", "/none/such"]), naming: ["/none/such"], status: 127)
    expectRefusal(try IntegrationTests.run(["famfs", "exec", "/etc"]), naming: ["/etc"], status: 126)
    expectRefusal(try IntegrationTests.run(["famfs", "exec"]), naming: ["name a program"])
  }
}
