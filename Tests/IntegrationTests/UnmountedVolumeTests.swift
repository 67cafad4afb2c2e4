import Foundation
import Platform
import Testing

/// Volumes that are not mounted, by libfamfs and the Python package: the files are those of the mount.
@Suite(.realMounts, .enabled(if: Machine.hasPython, "needs python3"), .timeLimit(.minutes(15)))
struct UnmountedVolumeTests {
  private static let environment = [
    "PYTHONPATH": Machine.sources + "/python", "PYTHONDONTWRITEBYTECODE": "1",
    "FAMFS_LIBRARY": Machine.programs + "/../lib/libfamfs.so",
  ]

  private func python(_ script: String, _ arguments: String..., by program: String = "python3") throws -> Outcome {
    try run([program, "-c", script] + arguments, environment: UnmountedVolumeTests.environment)
  }

  /// Prints each file and directory with its attributes, and the checksum of what it maps.
  private static let listing = """
    import famfs, sys, zlib, stat
    volume = famfs.Volume(*sys.argv[1:])
    def show(path):
        for name in sorted(volume.list(path)):
            inner = path + "/" + name if path else name
            if inner == ".meta": continue
            about = volume.stat(inner)
            print(inner, oct(about.st_mode), about.st_ino, about.st_uid, about.st_gid, about.st_size if stat.S_ISREG(about.st_mode) else about.st_nlink)
            if stat.S_ISDIR(about.st_mode): show(inner)
            else:
                try: print(zlib.crc32(volume.open(inner, direct=True)))
                except OSError as error: print(error.errno)
    print(volume.mount_point is None)
    show("")
    """

  @Test("names, attributes and bytes are the mount's, also of striped files on several devices")
  func same() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let devices = [volume.device, room.at("second"), room.at("third")]
      try succeed(run(["mkfs.famfs", "--size", "64m"] + devices, environment: Host.master.environment))
      try volume.mount(.master, ["--device", devices[1], "--device", devices[2]])
      for (number, striping) in [["-N", "3", "-B", "3", "-C", "2m"], ["-N", "2", "-B", "3", "-C", "4m"], []]
        .enumerated()
      {
        try succeed(
          run(
            ["famfs", "creat", "-r", "-S", "7", "-s", "9000001", "-m", "640", "-u", "7", "-g", "8"] + striping
              + [volume.master + "/f\(number)"], environment: Host.master.environment))
      }
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/a/b"))
      try volume.add("a/b/c", count: 5000)
      try write([1, 2, 3], to: volume.master + "/plain")
      try write([], to: volume.master + "/a/empty")
      try succeed(volume.famfs("commit", volume.master))
      // What was made here keeps its inode number as long as the kernel knows it.
      try volume.unmount()
      try volume.mount(.master, ["--device", devices[1], "--device", devices[2]])
      let mounted = try python(UnmountedVolumeTests.listing, volume.device)
      try volume.unmount()
      let before = try volume.everything()
      let unmounted = try python(UnmountedVolumeTests.listing, devices[0], devices[1], devices[2])
      #expect(mounted.stdout.hasPrefix("False\n") && unmounted.stdout.hasPrefix("True\n"), "\(unmounted.stderr)")
      let lines = unmounted.stdout.split(separator: "\n").dropFirst()
      #expect(lines.count == 14 && lines.contains { $0.hasPrefix("f1 0o100640 8 7 8 9000001") }, "\(unmounted)")
      #expect(lines == mounted.stdout.split(separator: "\n").dropFirst())
      #expect(try volume.everything() == before)
      // Without the others, files that have a byte there cannot be mapped.
      let alone = try python(UnmountedVolumeTests.listing, devices[0])
      #expect(alone.stdout.split(separator: "\n").contains("19"), "\(alone)")
    }
  }

  @Test("a reader sees files come, and that another volume was made; meanwhile nobody formats the device")
  func followed() throws {
    let script = """
      import famfs, os, subprocess, sys
      device, mount = sys.argv[1:3]
      environment = dict(os.environ, FAMFS_SYSTEM_UUID="\(Host.master.rawValue)")
      def run(*words): return subprocess.run(words, env=environment, capture_output=True, text=True)
      volume = famfs.Volume(device)
      print(volume.list(), run("\(Machine.program("mkfs.famfs"))", "--force", device).returncode)
      run("\(Machine.program("famfs"))", "mount", device, mount)
      try: volume.stat("dir/f")
      except OSError as error: print(error.errno)
      run("\(Machine.program("famfs"))", "mkdir", mount + "/dir")
      run("\(Machine.program("famfs"))", "creat", "-r", "-S", "3", "-s", "5001", mount + "/dir/f")
      view = volume.open("dir/f", writable=True)
      print(volume.list("dir"), len(view), bytes(view) == open(mount + "/dir/f", "rb").read(), volume.mount_point)
      view[3] = 99
      famfs.flush(view)
      print(open(mount + "/dir/f", "rb").read()[3], famfs.open(device + "/dir/f")[3], famfs.Volume(device).mount_point == mount)
      run("\(Machine.program("famfs"))", "umount", mount)
      print(famfs.open(device + "/dir/f")[3], famfs.is_direct(device + "/dir/f"))
      with open(device, "r+b") as file: file.seek(48); file.write(bytes(16))
      for attempt in [lambda: volume.stat("dir/f"), lambda: volume.list(), lambda: volume.open("dir/f")]:
          try: attempt()
          except OSError as error: print(error.errno)
      print(view[3])
      """
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      let outcome = try python(script, volume.device, volume.master)
      #expect(
        outcome.stdout
          == "[] 1\n2\n['f'] 5001 True None\n99 99 True\n99 True\n116\n116\n116\n99\n", "\(outcome)")
    }
  }

  @Test("what is no volume, cannot be read, or may be removed is refused by its error")
  func refused() throws {
    let script = """
      import famfs, sys
      for path in sys.argv[1:]:
          try:
              volume = famfs.Volume(path)
              volume.open("f")
              print("opened")
          except OSError as error: print(error.errno)
      """
    try withRoom { room in
      let volume = TestVolume(in: room)
      try succeed(
        run(["mkfs.famfs", "--size", "64m", volume.device, room.at("second")], environment: Host.master.environment))
      let other = TestVolume(in: room, device: room.at("reclaiming"))
      try other.make(["--reclaim"])
      try other.mount()
      try other.add("f", count: 5)
      try other.unmount()
      let damaged = try room.file("damaged", Array(Media(volume.device).get(0, 4 << 20)))
      try Media(damaged).flip(20)
      let short = try room.file("short", Array(Media(volume.device).get(0, 4 << 20)))
      let empty = try room.file("empty", [])
      let outcome = try python(
        script, volume.device, other.device, room.at("second"), damaged, short, empty, room.path, room.at("none"),
        "/dev/null", "/dev/zero")
      #expect(outcome.stdout == "2\n95\n74\n74\n74\n19\n19\n2\n19\n19\n", "\(outcome)")
      if Machine.usersCanRun {
        chmod(volume.device, 0o600)
        let words = [
          "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", script, volume.device,
        ]
        let denied = try run(words, environment: UnmountedVolumeTests.environment)
        #expect(denied.stdout == "13\n" || denied.status != 0, "\(denied)")
      }
    }
  }

  @Test(
    "fsspec, pyarrow and DuckDB read a volume that is not mounted by famfs://, as pip installs the package",
    .enabled(if: Science.isThere, Science.isMissing))
  func fsspec() throws {
    let script = """
      import sys
      sys.path.insert(0, sys.argv[1])
      import duckdb, fsspec, numpy, pyarrow.parquet
      import famfs._library
      device, original = sys.argv[2:4]
      print(famfs._library._famfs._name == sys.argv[1] + "/famfs/libfamfs.so")
      system = fsspec.filesystem("famfs")
      print([name[len(device):] for name in system.find("famfs://" + device)], system.isdir(device + "/dir"), system.exists(device + "/no"))
      rows = pyarrow.parquet.read_table(device + "/dir/t.parquet", filesystem=system)
      print(rows.equals(pyarrow.parquet.read_table(original + "/t.parquet")), rows.num_rows)
      with fsspec.open("famfs://" + device + "/dir/a.npy") as file: print(int(numpy.load(file).sum()))
      print(int(numpy.frombuffer(system.view(device + "/dir/a.npy"), dtype="i8", offset=128).sum()), len(system.cat(device + "/dir/a.npy")))
      duckdb.register_filesystem(system)
      print(duckdb.sql(f"select sum(i) from 'famfs://{device}/dir/t.parquet'").fetchall())
      for attempt in [lambda: system.open(device + "/dir/new", "wb"), lambda: system.rm(device + "/dir/a.npy"),
                      lambda: fsspec.open("famfs://" + device + "/none/new", "wb").open()]:
          try: attempt()
          except OSError as error: print("refused")
      print(system.isfile("/etc/passwd/x"), system.isdir("/etc/passwd/x"), system.exists("/etc/passwd/x"))
      system.copy(device + "/dir/a.npy", original + "/copy")
      print(open(original + "/copy", "rb").read() == system.cat(device + "/dir/a.npy"), len(system.tail(device + "/dir/a.npy", 7)))
      for attempt in [lambda: system.open(device + "/dir"), lambda: system.info(device + "/dir/none"),
                      lambda: system.view(device + "/dir/none"), lambda: system.open(device + "/dir/a.npy").seek(-1),
                      lambda: famfs.open(device + "/dir/none")]:
          try: attempt()
          except OSError as error: print(error.errno, str(error.filename).replace(device, ""))
      """
    let make = """
      import numpy, pyarrow, pyarrow.parquet, sys
      numpy.save(sys.argv[1] + "/a.npy", numpy.arange(100000))
      pyarrow.parquet.write_table(pyarrow.table({"i": numpy.arange(50000)}), sys.argv[1] + "/t.parquet")
      """
    try withRoom { room in
      let (volume, folder, packages) = (TestVolume(in: room), room.directory("dir"), room.directory("packages"))
      try succeed(python(make, folder, by: Science.python))
      try volume.make()
      try volume.mount()
      try succeed(volume.famfs("cp", "-r", folder, volume.master + "/dir"))
      try volume.unmount()
      // From a copy, for pip leaves what it builds beside the sources.
      try succeed(run(["cp", "-r", Machine.sources + "/python", room.path]))
      try succeed(run(["cp", "-r", Machine.programs + "/../lib", room.path]))
      let options = ["--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps", "--no-index"]
      try succeed(
        run([Science.python, "-m", "pip", "install"] + options + ["--target", packages, room.at("python")]))
      let outcome = try run([Science.python, "-B", "-c", script, packages, volume.device, folder])
      #expect(
        outcome.stdout == """
          True
          ['/dir/a.npy', '/dir/t.parquet'] True False
          True 50000
          4999950000
          4999950000 800128
          [(1249975000,)]
          refused
          refused
          refused
          False False False
          True 7
          21 /dir
          2 /dir/none
          2 /dir/none
          22 None
          2 /dir/none

          """, "\(outcome)")
    }
  }
}
