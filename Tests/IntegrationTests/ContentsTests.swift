import Foundation
import Platform
import Testing

@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ContentsTests {
  static let sizes = [1, 4095, 4096, 4097, 2 << 20 - 1, 2 << 20, 2 << 20 + 1, 5 << 20 + 123]

  /// A volume with a file of each size, mounted by both hosts.
  private func withFiles(_ mounting: [String] = [], _ body: (TestVolume, [String: [UInt8]]) throws -> Void) throws {
    try withVolume(client: true, mounting: mounting) { volume in
      var files: [String: [UInt8]] = [:]
      for size in Self.sizes {
        files["\(size)"] = contents(size, seed: UInt64(size))
        try volume.room.file("\(size)", contents(size, seed: UInt64(size)))
      }
      let sources = files.keys.map { volume.room.at($0) }
      try succeed(run(["famfs", "cp"] + sources + [volume.master], environment: Host.master.environment))
      let isThere: () -> Bool = { files.keys.allSatisfy { access(volume.client + "/" + $0, R_OK) == 0 } }
      #expect(seconds(until: isThere) != nil)
      try body(volume, files)
    }
  }

  @Test("files of every size read the same in every way on both hosts", arguments: ["never", "auto", "always"])
  func everyWay(cache: String) throws {
    try withFiles(["--cache", cache]) { volume, files in
      for mount in volume.mounts {
        for (name, bytes) in files {
          for way in Reading.allCases {
            let isSame = areSame(try way.contents(of: mount + "/" + name), bytes)
            #expect(isSame, "\(mount)/\(name) by \(way.rawValue)")
          }
        }
      }
    }
  }

  @Test("cp, dd and tar copy files out as they went in")
  func programs() throws {
    try withFiles { volume, files in
      for mount in volume.mounts {
        let copies = volume.room.directory("copies of \(mount == volume.master)")
        for (name, bytes) in files {
          try succeed(run(["cp", "\(mount)/\(name)", "\(copies)/\(name)"]))
          expect("\(copies)/\(name)", holds: bytes)
          try succeed(run(["dd", "if=\(mount)/\(name)", "of=\(copies)/\(name)", "bs=7777", "status=none"]))
          expect("\(copies)/\(name)", holds: bytes)
        }
        try succeed(run(["tar", "-C", mount, "--exclude=.meta", "-cf", "\(copies)/tar", "."]))
        let compared = try run(["tar", "-C", volume.room.path, "-df", "\(copies)/tar"] + files.keys.map { "./" + $0 })
        // Owners and times are the mount's own; contents and sizes are not.
        #expect(!compared.stdout.contains("Contents differ"), "\(compared)")
        #expect(!compared.stdout.contains("Size differs"), "\(compared)")
        #expect(compared.stderr == "")
      }
    }
  }

  @Test("python reads files by read and mmap", .enabled(if: Machine.hasPython, "needs python3"))
  func python() throws {
    let script = """
      import mmap, sys
      for mount in sys.argv[2:]:
        for name in sys.argv[1].split():
          with open(mount + '/' + name, 'rb') as a, open(mount + '/../' + name, 'rb') as b:
            wanted = b.read()
            assert a.read() == wanted, name
            assert mmap.mmap(a.fileno(), 0, prot=mmap.PROT_READ)[:] == wanted, name
      """
    try withFiles { volume, files in
      try succeed(run(["python3", "-c", script, files.keys.joined(separator: " ")] + volume.mounts))
    }
  }

  @Test("ls, find, stat, du and df tell names, sizes, modes and owners")
  func listings() throws {
    try withFiles { volume, files in
      try succeed(volume.famfs("mkdir", "-m", "2750", "-u", "12", "-g", "34", volume.master + "/dir"))
      try succeed(
        volume.famfs(
          "cp", "-m", "0604", "-u", "5", "-g", "6", volume.room.at("4097"), volume.master + "/dir/owned"))
      #expect(seconds(until: { access(volume.client + "/dir/owned", F_OK) == 0 }) != nil)
      for mount in volume.mounts {
        let names = try run(["ls", mount]).stdout.split(separator: "\n").map(String.init)
        #expect(Set(names) == Set(files.keys).union(["dir"]))
        let found = try run(["find", mount, "-path", "*/.meta", "-prune", "-o", "-type", "f", "-printf", "%P %s %n\n"])
        let expected = files.map { "\($0.key) \($0.value.count) 1" } + ["dir/owned 4097 1"]
        #expect(Set(found.stdout.split(separator: "\n").map(String.init)) == Set(expected))
        let owned = try run(["stat", "-c", "%a %u %g %F", mount + "/dir", mount + "/dir/owned"])
        #expect(owned.stdout == "2750 12 34 directory\n604 5 6 regular file\n")
        // One unit of 2 MiB.
        #expect(try run(["du", "-s", "-B1", mount + "/dir/owned"]).stdout.hasPrefix("\(2 << 20)\t"))
        let space = try run(["df", "-B1", "--output=source,size,used", mount]).stdout.split(separator: "\n")
        // 10 MiB of superblock and log, and 12 units.
        let used = (10 + 2 * 12) << 20
        #expect(space.last?.split(separator: " ").map(String.init) == [volume.device, "\(64 << 20)", "\(used)"])
      }
    }
  }

  @Test("what a shared mapping writes is seen by the other host after msync")
  func sharedWriting() throws {
    try withFiles { volume, files in
      for (writer, reader) in [(volume.master, volume.client), (volume.client, volume.master)] {
        for size in [4097, 5 << 20 + 123] {
          var bytes = try read("\(writer)/\(size)")
          _ = try read("\(reader)/\(size)")
          let file = try FileDescriptor(opening: "\(writer)/\(size)", .readWrite)
          let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
          try #require(start != MAP_FAILED)
          let memory = UnsafeMutableRawBufferPointer(start: start, count: size)
          defer { munmap(start, size) }
          for place in [0, 4095, size / 2, size - 1] {
            bytes[place] &+= 1
            memory[place] = bytes[place]
          }
          #expect(failure { msync(start, size, MS_SYNC) } == nil)
          expect("\(reader)/\(size)", holds: bytes)
        }
      }
    }
  }
}
