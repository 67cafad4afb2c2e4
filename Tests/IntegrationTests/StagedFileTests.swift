import Foundation
import Platform
import Testing

/// Hard cases of files that programs make on the master's mount.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct StagedFileTests {
  @Test("a file that was closed just before the unmount is there afterwards")
  func closedAndUnmounted() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      for round in 0..<8 {
        do {
          let file = try FileDescriptor(opening: volume.master + "/\(round)", [.readWrite, .create], mode: 0o600)
          try file.put([UInt8(round)], at: 0)
        }
        // At once; but for what programs that other tests start have inherited.
        try #require(seconds(until: { umount2(volume.master, 0) == 0 }) != nil)
        try #require(seconds(until: { Machine.daemons(in: volume.room.path).isEmpty }) != nil)
        try volume.mount(.master, ["--commit", "600"])
        for old in 0...round { expect(volume.master + "/\(old)", holds: [UInt8(old)]) }
      }
    }
  }

  @Test("a listing gives \".\" and \"..\" the numbers that stat gives")
  func dots() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/logged/in"))
      for path in ["/logged/staged", "/logged/staged/in", "/late", "/late/in"] {
        try #require(mkdir(volume.master + path, 0o755) == 0)
      }
      try succeed(volume.famfs("commit", volume.master + "/late"))
      try FileDescriptor(opening: volume.master + "/file", [.readWrite, .create]).put([1], at: 0)
      for path in ["/logged", "/logged/in", "/logged/staged", "/logged/staged/in", "/late", "/late/in"] {
        let directory = try #require(opendir(volume.master + path))
        defer { closedir(directory) }
        while let entry = readdir(directory) {
          let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { $0.prefix { $0 != 0 }.map(\.self) }
          let name = path + "/" + String(decoding: bytes, as: UTF8.self)
          #expect(try entry.pointee.d_ino == FileStatus(path: volume.master + name).inode, "\(name)")
        }
      }
    }
  }

  @Test("famfs flush drops mapped pages of a file that was made on the mount")
  func flushed() throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--cache", "always"]) { volume in
      let path = volume.master + "/f"
      let file = try FileDescriptor(opening: path, [.readWrite, .create], mode: 0o644)
      try file.put([1], at: 0)
      #expect(fsync(file.rawValue) == 0)
      let mapped = mmap(nil, 1, PROT_READ, MAP_SHARED, file.rawValue, 0)
      let page = try #require(mapped == MAP_FAILED ? nil : mapped)
      defer { munmap(page, 1) }
      #expect(page.load(as: UInt8.self) == 1)
      try #require(seconds(until: { access(volume.client + "/f", F_OK) == 0 }) != nil)
      try FileDescriptor(opening: volume.client + "/f", .writeOnly).put([2], at: 0)
      try succeed(volume.famfs("flush", path))
      #expect(page.load(as: UInt8.self) == 2)
    }
  }

  @Test("appends of several programs, and writes to mapped pages, are all there after the commit")
  func writers() throws {
    try withVolume(size: "64m", ["--alloc-unit", "4k"], client: true) { volume in
      let (path, seen) = (volume.master + "/log", volume.client + "/log")
      let script = "for n in $(seq 200); do echo $0.$n >> \(path); done"
      let file = try FileDescriptor(opening: path, [.readWrite, .create], mode: 0o644)
      let programs = try (0..<4).map { try Child(["bash", "-c", script, "\($0)"]) }
      for program in programs { try succeed(program.wait()) }
      let lines = String(decoding: try read(path), as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 800 && Set(lines).count == 800)
      try file.truncate(to: 1 << 20)
      let mapped = mmap(nil, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
      let bytes = try #require(mapped == MAP_FAILED ? nil : mapped)
      for place in stride(from: 100_000, to: 1 << 20, by: 50_000) {
        bytes.storeBytes(of: UInt8(place / 50_000), toByteOffset: place, as: UInt8.self)
      }
      #expect(msync(bytes, 1 << 20, MS_SYNC) == 0)
      var wanted = [UInt8](repeating: 0, count: 1 << 20)
      let text = Array((lines.joined(separator: "\n") + "\n").utf8)
      wanted.replaceSubrange(0..<text.count, with: text)
      for place in stride(from: 100_000, to: 1 << 20, by: 50_000) { wanted[place] = UInt8(place / 50_000) }
      try #require(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      expect(seen, holds: wanted)
      munmap(bytes, 1 << 20)
    }
  }

  @Test("on a volume that is nearly full a file can be removed and made again at once")
  func nearlyFull() throws {
    try withVolume(size: "64m", ["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let source = try volume.room.file("source", contents(40 << 20))
      for _ in 0..<4 {
        try succeed(run(["cp", source, volume.master + "/f"]))
        #expect(try run(["cp", source, volume.master + "/more"]).status == 1)
        try succeed(run(["rm", volume.master + "/f", volume.master + "/more"]))
      }
    }
  }

  @Test("when the log is full nothing can be made, and what is removed makes room")
  func fullLog() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(["--alloc-unit", "4k"])
      try Media(volume.device).fillLog(Media.capacity - 2)
      try volume.mount(.master, ["--commit", "600"])
      let names = ["x", "y", "z"].map { volume.master + "/" + $0 }
      #expect(failure { mkdir(names[0], 0o755) } == nil)
      #expect(failure { mkdir(names[1], 0o755) } == nil)
      #expect(failure { mkdir(names[2], 0o755) } == .noSpace)
      #expect(failure { rmdir(names[0]) } == nil)
      #expect(failure { mkdir(names[2], 0o755) } == nil)
      #expect(failure { rename(names[2], names[1]) } == nil)
      try write([1], to: names[0])
      try volume.unmount()
      try volume.mount()
      expect(names[0], holds: [1])
      #expect(access(names[1], F_OK) == 0 && access(names[2], F_OK) != 0)
      try succeed(volume.famfs("fsck", volume.master))
      try volume.unmount()
    }
  }

  @Test(
    "other users make files with their own names, in setgid directories with the group's, and not where they may not",
    .enabled(if: Machine.usersCanRun, "needs setpriv"))
  func users() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let script = """
        set -eu; cd \(volume.master); umask 027
        mkdir -m 2777 shared; chgrp 12 shared; mkdir -m 1777 sticky; mkdir -m 755 own; echo x > sticky/root; echo x > own/secret
        as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
        no() { if "$@" 2> /dev/null; then exit 9; fi; }
        as bash -c 'umask 027; echo hi > shared/f; mkdir shared/d; echo hi > sticky/f'
        [ "$(stat -c '%u %g %a' shared/f)" = '65534 12 640' ]; [ "$(stat -c '%u %g %a' shared/d)" = '65534 12 2750' ]
        [ "$(stat -c '%u %g %a' sticky/f)" = '65534 65534 640' ]
        no as touch own/no; no as cat own/secret; no as rm -f sticky/root; no as chmod 777 own
        as mv sticky/f sticky/g; as rm sticky/g
        as install -m 4755 /bin/true shared/s; echo more >> shared/s; [ "$(stat -c %a shared/s)" = 4755 ]
        as bash -c 'echo more >> shared/s'; set -- $(stat -c '%a %s' shared/s); [ $1 = 755 ]
        """
      try succeed(run(["bash", "-xc", script]))
      try volume.unmount()
      try volume.mount()
      let found = try run(["stat", "-c", "%u %g %a", volume.master + "/shared/f", volume.master + "/shared/d"]).stdout
      #expect(found == "65534 12 640\n65534 12 2750\n")
    }
  }

  @Test("times before 1970 are what was set, of what is staged and of what is committed")
  func earlyTimes() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      try write([1], to: volume.master + "/committed")
      try succeed(volume.famfs("mkdir", volume.master + "/folder"))
      try succeed(volume.famfs("commit", volume.master + "/committed"))
      try write([1], to: volume.master + "/staged")
      try #require(mkdir(volume.master + "/new", 0o755) == 0)
      for name in ["/committed", "/staged", "/folder", "/new"] {
        let path = volume.master + name
        let times = [timespec(tv_sec: -1_000_000_000, tv_nsec: 5), timespec(tv_sec: -1, tv_nsec: 999_999_999)]
        #expect(failure { utimensat(AT_FDCWD, path, times, 0) } == nil)
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_atim.tv_sec == -1_000_000_000 && status.st_atim.tv_nsec == 5, "\(name)")
        #expect(status.st_mtim.tv_sec == -1 && status.st_mtim.tv_nsec == 999_999_999, "\(name)")
      }
    }
  }

  @Test("a name that is longer than any path is too long in every call; statfs says how long names may be")
  func longNames() throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      for mount in volume.mounts {
        #expect(pathconf(mount, Int32(_PC_NAME_MAX)) == 79)
        #expect(failure { access(mount + "/" + String(repeating: "x", count: 79), F_OK) } == .noEntry)
        for count in [80, 100, 255, 256, 1024] {
          let path = mount + "/" + String(repeating: "x", count: count)
          var status = stat()
          #expect(failure { lstat(path, &status) } == .nameTooLong)
          #expect(failure { open(path, O_RDONLY) } == .nameTooLong)
          #expect(failure { open(path, O_CREAT | O_WRONLY, 0o600) } == .nameTooLong)
          #expect(failure { mkdir(path, 0o700) } == .nameTooLong)
          #expect(failure { mknod(path, S_IFREG | 0o600, 0) } == .nameTooLong)
          #expect(failure { unlink(path) } == .nameTooLong)
          #expect(failure { rmdir(path) } == .nameTooLong)
          #expect(failure { rename(path, mount + "/y") } == .nameTooLong)
          #expect(failure { rename(mount + "/.meta", path) } == .nameTooLong)
          #expect(failure { symlink("x", path) } == .nameTooLong)
          #expect(failure { link(mount + "/.meta/.log", path) } == .nameTooLong)
        }
      }
    }
  }
}
