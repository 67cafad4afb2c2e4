import Foundation
import Platform
import Testing

/// What an unprivileged user can make the master's daemon hold.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct UserLimitTests {
  /// Words that run a program as another user.
  private static let asUser = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]

  /// Debian's, which other users may run, too.
  private static let python = "/usr/bin/python3"
  private static let hasPython = Machine.usersCanRun && access(python, X_OK) == 0

  /// KiB of memory that a process has.
  private func memory(of pid: pid_t) throws -> Int {
    let text = String(decoding: try readSmallFile("/proc/\(pid)/status"), as: UTF8.self)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
    return try #require(Int(line.filter(\.isNumber)))
  }

  @Test(
    "open directories share what is staged in them: the daemon does not grow with how many are open",
    .enabled(if: hasPython, "needs setpriv, and Python for all"))
  func sharedListings() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let top = volume.master + "/shared"
      try #require(mkdir(top, 0o755) == 0 && chmod(top, 0o1777) == 0)
      let make = """
        import os, sys
        for n in range(3000): os.close(os.open(f"{sys.argv[1]}/file-with-a-name-{n}", os.O_CREAT | os.O_WRONLY, 0o600))
        """
      try succeed(run(Self.asUser + [Self.python, "-c", make, top]))
      let daemon = try volume.daemon()
      let before = try memory(of: daemon)
      // Each is read to its end, and stays open. A copy of the names takes 47 KB.
      let hold = """
        import os, resource, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, (2100, 2100))
        held = [os.open(sys.argv[1], os.O_RDONLY) for n in range(2000)]
        assert all(len(os.listdir(fd)) == 3000 for fd in held[::10])
        with open("/proc/" + sys.argv[2] + "/status") as status:
          print([line for line in status if line.startswith("VmRSS:")][0].split()[1])
        """
      let outcome = try run(Self.asUser + [Self.python, "-c", hold, top, "\(daemon)"])
      try succeed(outcome)
      let during = try #require(Int(outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(during - before < 16_000, "\(before) KiB before, \(during) KiB with 2000 open directories")
    }
  }

  @Test(
    "names, bytes and open directories of a user end where the mount's options say, and root's do not",
    .enabled(if: hasPython, "needs setpriv, and Python for all"))
  func limits() throws {
    let options = ["--commit", "600", "-o", "user_names=20,user_dirs=10,user_bytes=1m"]
    try withVolume(["--alloc-unit", "4k"], mounting: options) { volume in
      let script = """
        import errno, os, sys
        top, limited = sys.argv[1], sys.argv[2] == "limited"
        def fails(call):
          try: call()
          except OSError as error: return errno.errorcode[error.errno]
        names = [f"{top}/{sys.argv[2]}{n}" for n in range(30)]
        made = [fails(lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))) for name in names]
        assert made == ([None] * 20 + ["ENOSPC"] * 10 if limited else [None] * 30), made
        held = []
        opened = [fails(lambda: held.append(os.open(top, os.O_RDONLY))) for n in range(20)]
        assert opened == ([None] * 10 + ["EMFILE"] * 10 if limited else [None] * 20), opened
        for fd in held: os.close(fd)
        def put(name, count):
          with open(name, "wb", buffering=0) as file: return file.write(bytes(count))
        if limited:
          assert put(names[0], 1 << 19) == put(names[1], 1 << 19) == 1 << 19
          assert fails(lambda: put(names[2], 1)) == "ENOSPC"
          assert fails(lambda: os.truncate(names[2], 4096)) == "ENOSPC"
          os.truncate(names[0], 0)
          os.unlink(names[1])
          assert put(names[3], 1 << 19) == 1 << 19
        else:
          assert put(names[0], 1 << 20) == put(names[1], 1 << 20) == 1 << 20
        """
      let top = volume.master + "/shared"
      try #require(mkdir(top, 0o755) == 0 && chmod(top, 0o1777) == 0)
      try succeed(run(Self.asUser + [Self.python, "-c", script, top, "limited"]))
      try succeed(run([Self.python, "-c", script, top, "root"]))
      // What is committed counts no more.
      try succeed(volume.famfs("commit", volume.master))
      try succeed(run(Self.asUser + ["sh", "-c", "for n in $(seq 20); do echo $n > \(top)/more$n; done"]))
    }
  }

  @Test("a limit that is no number is refused, and none is no limit")
  func words() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      for word in ["user_names=x", "user_dirs=-1", "user_bytes=1q", "user_names="] {
        let outcome = try volume.famfs("mount", "-o", word, volume.device, volume.master)
        #expect(outcome.status != 0 && outcome.stderr.contains("user_"), "\(outcome)")
      }
      try volume.mount(.master, ["-o", "user_names=none,user_dirs=none,user_bytes=none"])
      try write([1], to: volume.master + "/f")
      try volume.unmount()
    }
  }
}
