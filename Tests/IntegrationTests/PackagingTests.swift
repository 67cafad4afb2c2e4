import Foundation
import Platform
import Testing

/// What comes with the program: manual pages, completions, installation, the Debian package.
@Suite(.timeLimit(.minutes(15)))
struct PackagingTests {
  /// Finds the program under test by its names.
  private static let path = ["PATH": Machine.programs + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "")]

  /// Everything below a directory.
  private func files(below path: String) -> [String] {
    (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).sorted()
  }

  private func make(_ target: String, _ words: [String]) throws -> Outcome {
    try run(["make", "-s", "-C", Machine.sources, target, "BIN=" + Machine.programs] + words)
  }

  @Test("each command has a page, and the page has the options of its help")
  func pages() throws {
    let outcome = try run([Machine.sources + "/scripts/check-man", Machine.programs])
    #expect(outcome.status == 0, "\(outcome.stderr)")
  }

  @Test("the check of the pages finds a missing page, a missing option and one too many")
  func pagesThatLack() throws {
    try withRoom { room in
      let copy = room.directory("copy")
      try succeed(run(["cp", "-r", Machine.sources + "/scripts", Machine.sources + "/docs", copy]))
      let pages = copy + "/docs/man/"
      try succeed(run(["sed", "-i", "s/^.It Fl l , -lazy/.It Fl L , -lazier/", pages + "famfs-umount.8"]))
      try succeed(run(["mv", pages + "famfs-cp.1", pages + "famfs-copy.1"]))
      let outcome = try run([copy + "/scripts/check-man", Machine.programs])
      #expect(outcome.status == 1)
      for words in [
        "famfs cp has no page docs/man/famfs-cp.1", "famfs-copy.1 is about a command that there is not",
        "< -l --lazy", "> -L --lazier",
      ] {
        #expect(outcome.stderr.contains(words), "\(words): \(outcome.stderr)")
      }
    }
  }

  @Test("the pages are well formed", .enabled(if: Machine.has("mandoc"), "needs mandoc"))
  func pagesAreWellFormed() throws {
    let pages = Machine.sources + "/docs/man/"
    let names = try FileManager.default.contentsOfDirectory(atPath: pages).map { pages + $0 }
    let outcome = try run(["mandoc", "-Tlint", "-W", "warning"] + names)
    #expect(outcome.status == 0, "\(outcome.stdout)")
  }

  @Test("the example session of famfs(1) runs", .realMounts)
  func session() throws {
    try withRoom { room in
      let page = try String(contentsOfFile: Machine.sources + "/docs/man/famfs.1", encoding: .utf8)
      let example = try #require(page.components(separatedBy: ".Sh EXAMPLES").dropFirst().first)
      let literal = try #require(example.components(separatedBy: ".Bd -literal").dropFirst().first)
      let lines = literal.components(separatedBy: ".Ed")[0].split(separator: "\n").dropFirst()
      let script = lines.joined(separator: "\n").replacingOccurrences(of: "/dev/shm/", with: room.path + "/")
        .replacingOccurrences(of: "/mnt/", with: room.path + "/")
      try succeed(run(["bash", "-ec", script], environment: Self.path.merging(Host.master.environment) { $1 }))
      expectNothingRuns(in: room)
    }
  }

  private static let completions = [
    ("famfs um", ["umount"]), ("famfs mk", ["mkdir", "mkmeta"]), ("famfs mount --ti", ["--timeout"]),
    ("famfs mount -c n", ["never"]), ("famfs mount --cache = ne", ["never"]),
    ("famfs mount --cache =", ["never", "auto", "always"]), ("/usr/sbin/mkfs.famfs --al", ["--alloc-unit"]),
    ("weft mk", ["mkfs.famfs", "mkfs.kfs"]), ("weft famfs um", ["umount"]), ("weft famfs cp --rec", ["--recursive"]),
    ("famfs cp -- --rec", [""]), ("famfs cp /", [""]), ("famfs nothing --", [""]),
  ]

  @Test("bash completes commands, options and their values", arguments: completions)
  func bash(line: String, expected: [String]) throws {
    let script = """
      source '\(Machine.sources)/completion/famfs.bash'
      COMP_WORDS=(\(line)); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      _famfs "$1"; printf '%s\\n' "${COMPREPLY[@]}"
      """
    let outcome = try run(["bash", "-c", script, "bash", String(line.prefix { $0 != " " })], environment: Self.path)
    #expect(outcome.stdout == expected.joined(separator: "\n") + "\n", "\(outcome)")
    #expect(outcome.stderr == "")
  }

  @Test("bash completes each command's every option, and all of them are those of its help")
  func bashKnowsAll() throws {
    let script = """
      source '\(Machine.sources)/completion/famfs.bash'
      for command in $(famfs --help | sed -n 's/^  \\([a-z]*\\)  .*/\\1/p'); do
        COMP_WORDS=(famfs $command --); COMP_CWORD=2
        _famfs famfs
        diff <(printf '%s\\n' "${COMPREPLY[@]}") <(famfs $command --help | sed -nE 's/^  (-.,|   ) (--[a-z-]*).*/\\2/p')
      done
      """
    let outcome = try run(["bash", "-c", script], environment: Self.path)
    #expect(outcome.status == 0 && outcome.stdout == "" && outcome.stderr == "", "\(outcome)")
  }

  @Test(
    "zsh completes commands, options and their values", .enabled(if: Machine.has("zsh"), "needs zsh"),
    arguments: [
      ("famfs um", "famfs umount "), ("famfs mount --ti", "famfs mount --timeout="),
      ("famfs mount --cache=ne", "famfs mount --cache=never "), ("weft mk", "weft mkfs.famfs "),
      ("weft famfs cp --rec", "weft famfs cp --recursive "), ("famfs fsck /etc/hostn", "famfs fsck /etc/hostname "),
    ])
  func zsh(line: String, expected: String) throws {
    try withRoom { room in
      // A line editor takes no input before it is ready for it, so the shell says so; what a key has made of its line,
      // a second key stores.
      try write(
        Array(
          """
          PS1=; fpath=('\(Machine.sources)/completion' $fpath); autoload -Uz compinit; compinit -D -u
          store() { print -r -- "$BUFFER" > '\(room.path)/line'; exit }
          zle -N store; bindkey '^X' store
          zle-line-init() { : > '\(room.path)/ready' }
          zle -N zle-line-init
          """.utf8), to: room.at(".zshrc"))
      let script = """
        zmodload zsh/zpty
        zpty shell ZDOTDIR='\(room.path)' TERM=dumb zsh -d -i
        until [[ -e '\(room.path)/ready' ]]; do sleep 0.01; done
        zpty -n -w shell '\(line)'$'\\t\\x18'
        until [[ -s '\(room.path)/line' ]]; do zpty -r -t shell > /dev/null; sleep 0.01; done
        """
      let shell = try Child(["zsh", "-f", "-c", script], environment: Self.path)
      #expect(try shell.wait().status == 0)
      #expect(try String(decoding: read(room.at("line")), as: UTF8.self) == expected + "\n")
    }
  }

  @Test("what is installed works from there, and uninstalling leaves what was there before", arguments: [1, 2])
  func install(times: Int) throws {
    try withRoom { room in
      let root = room.directory("root")
      try succeed(run(["mkdir", "-p", root + "/usr/local/bin", root + "/usr/local/share/man/man1"]))
      try room.file("root/usr/local/bin/other", [1])
      let before = files(below: root)
      for _ in 0..<times { try succeed(make("install", ["DESTDIR=" + root])) }
      let installed = files(below: root)
      for name in [
        "sbin/mount.famfs", "usr/local/bin/weft", "usr/local/bin/famfs", "usr/local/sbin/mkfs.famfs",
        "usr/local/share/man/man8/mount.famfs.8.gz", "usr/local/share/bash-completion/completions/famfs",
        "usr/local/share/zsh/site-functions/_famfs", "usr/local/lib/systemd/system/famfs@.service",
      ] {
        #expect(installed.contains(name), "\(name)")
      }
      let version = try run(["famfs", "--version"]).stdout
      #expect(try run([root + "/usr/local/bin/famfs", "--version"]).stdout == version)
      #expect(try run([root + "/usr/local/sbin/mkfs.famfs", "--help"]).stdout.hasPrefix("Usage: mkfs.famfs "))
      try succeed(make("uninstall", ["DESTDIR=" + root]))
      #expect(files(below: root) == before)
      #expect(try make("uninstall", ["DESTDIR=" + root]).stderr.contains("nothing is installed"))
    }
  }

  @Test("the systemd unit mounts what its configuration says, and unmounts it", .realMounts)
  func unit() throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      let room = volume.room
      try succeed(make("install", ["DESTDIR=" + room.directory("root")]))
      let unit = try String(
        contentsOfFile: room.at("root/usr/local/lib/systemd/system/famfs@.service"), encoding: .utf8
      )
      .replacingOccurrences(of: "/usr/local/bin", with: Machine.programs)
      try room.file("famfs@.service", Array(unit.utf8))
      if Machine.has("systemd-analyze") {
        let outcome = try run(["systemd-analyze", "verify", "--man=no", room.at("famfs@test.service")])
        #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      }
      // A shell reads the configuration and the commands as systemd does.
      let lines = [
        "DEVICE=" + volume.device, "MOUNTPOINT=" + volume.master, "OPTIONS=--cache never",
        "FAMFS_SYSTEM_UUID=" + Host.master.rawValue,
      ]
      let configuration = try room.file("test.conf", Array(lines.joined(separator: "\n").utf8))
      let command = { (key: String) in
        let line = try #require(unit.split(separator: "\n").first { $0.hasPrefix(key) }).dropFirst(key.count)
        return ["sh", "-c", "set -a; . '\(configuration)'; exec \(line)"]
      }
      let manager = try ServiceSocket(at: room.at("notify"))
      let service = try Child(command("ExecStart="), environment: ["NOTIFY_SOCKET": room.at("notify")])
      #expect(manager.next()?.hasPrefix("READY=1\n") == true)
      #expect(try volume.isMounted() && volume.daemon() == service.pid)
      try succeed(run(command("ExecStop=")))
      #expect(!volume.isMounted())
      #expect(try service.wait().status == 0)
    }
  }

  @Test("the Debian package holds the program and all that belongs to it", .enabled(if: Machine.has("dpkg-deb")))
  func package() throws {
    try withRoom { room in
      let outcome = try run([Machine.sources + "/scripts/deb", Machine.programs, room.path])
      try succeed(outcome)
      let package = String(outcome.stdout.dropLast())
      let version = try run(["weft", "--version"]).stdout.split(separator: " ")[1].dropLast()
      #expect(package.hasPrefix(room.at("weft_\(version)_")) && package.hasSuffix(".deb"))
      let contents = try run(["dpkg-deb", "-c", package]).stdout
      for name in [
        "usr/bin/weft", "usr/bin/famfs -> weft", "usr/sbin/mkfs.famfs -> ../bin/weft",
        "usr/sbin/famfs_fused -> ../bin/weft", "usr/sbin/mount.famfs -> ", "usr/share/man/man8/famfs-mount.8.gz",
        "usr/share/man/man5/famfs.5.gz", "usr/share/bash-completion/completions/famfs",
        "usr/share/zsh/vendor-completions/_famfs", "usr/lib/systemd/system/famfs@.service",
        "usr/share/doc/weft/copyright",
      ] {
        #expect(contents.contains(" ./" + name), "\(name)")
      }
      #expect(!contents.contains("local/"))
      let control = try run(["dpkg-deb", "-f", package]).stdout
      for line in [
        "Package: weft\n", "Version: \(version)\n", "libc6", "zlib1g", "libblkid1", "fuse3\n",
        "Recommends: libmicrohttpd12", "libdaxctl1\n",
      ] {
        #expect(control.contains(line), "\(line)")
      }
      let place = room.directory("place")
      try succeed(run(["dpkg-deb", "-x", package, place]))
      #expect(try run([place + "/usr/bin/famfs", "--version"]).stdout == "famfs \(version) (Weft)\n")
    }
  }
}
