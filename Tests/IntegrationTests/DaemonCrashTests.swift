import Foundation
import Platform
import Testing

/// What is on the volume after the daemon was killed amid a load of programs.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct DaemonCrashTests {
  /// How often the daemon is killed; WEFT_CRASH_ROUNDS says otherwise.
  private static let rounds = ProcessInfo.processInfo.environment["WEFT_CRASH_ROUNDS"].flatMap { Int($0) } ?? 40
  /// Rounds until a new volume is made, long before one is full.
  private static let roundsOfVolume = 12
  private static let sizes = [1, 5_000, 70_001, 300_000, 1_048_583]

  /// Makes files until the daemon is gone. Each name ends with the number of what it must hold; `acknowledged` gets
  /// the names of those that a program was told to be safe.
  private static let load = """
    n=0
    while :; do
      n=$((n + 1)); s=$((RANDOM % 5)); f=$M/$ID.$n.$s
      case $((RANDOM % 8)) in
        0) cp $R/s$s $f && famfs commit $f && echo $f >> $R/acknowledged;;
        1) dd if=$R/s$s of=$f bs=30000 conv=fsync status=none && echo $f >> $R/acknowledged;;
        2) cp $R/s$s $f.tmp || exit; mv $f.tmp $f;;
        3) cp $R/s$s $f || exit; rm -f $f;;
        4) famfs cp $R/s$s $f && echo $f >> $R/acknowledged;;
        5) mkdir $M/$ID.$n && f=$M/$ID.$n/f.$s && cp $R/s$s $f && famfs commit $M/$ID.$n && echo $f >> $R/acknowledged;;
        6) dd if=$R/s$s of=$f.part bs=30000 conv=fsync status=none || exit; mv $f.part $f && echo $f >> $R/acknowledged;;
        7) mkdir $M/$ID.$n && cat $R/s$s > $M/$ID.$n/f.$s || exit; mv $M/$ID.$n $M/$ID.$n.moved; rm -rf $M/$ID.$n.moved;;
      esac || stat -f $M || exit
    done
    """

  @Test("wherever the daemon is killed: what was safe is there, nothing is half there, and no space is lost")
  func killed() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let sources = try DaemonCrashTests.sizes.enumerated().map { place, size in
        let bytes = contents(size, seed: UInt64(place + 1))
        try room.file("s\(place)", bytes)
        return bytes
      }
      var random = SystemRandomNumberGenerator()
      var free: UInt64 = 0
      var safe: Set<String> = []
      for round in 0..<DaemonCrashTests.rounds {
        let options = ["--commit", round % 2 == 0 ? "1" : "0"]
        if round % DaemonCrashTests.roundsOfVolume == 0 {
          if round > 0 { try volume.unmount() }
          try volume.make(size: "512m", ["--alloc-unit", "4k", "--force"])
          safe = []
          try volume.mount(.master, options)
          free = try volume.freeBytes()
        }
        let delay = UInt64.random(in: 1...250, using: &random)
        try crash(volume, round, afterMilliseconds: delay)
        try volume.mount(.master, options)
        let names = (try? String(contentsOfFile: room.at("acknowledged"), encoding: .utf8)) ?? ""
        safe.formUnion(names.split(separator: "\n").map(String.init))
        unlink(room.at("acknowledged"))
        try check(volume, sources, free: free, safe: safe, "round \(round), killed after \(delay) ms")
      }
      try volume.unmount()
    }
  }

  @Test("a copy of many files does not say for each that the daemon is gone")
  func saidOnce() throws {
    try withVolume(size: "256m", ["--alloc-unit", "4k"]) { volume in
      let source = volume.room.directory("source")
      for number in 0..<5000 { _ = try volume.room.file("source/\(number)", [1, 2, 3]) }
      let script = """
        $0 cp -r $1 $2/copy & copy=$!
        until [ -e $2/copy ]; do :; done
        kill -9 $3
        wait $copy
        """
      let daemon = try volume.daemon()
      let outcome = try run(["sh", "-c", script, Machine.program("famfs"), source, volume.master, "\(daemon)"])
      if outcome.status == 0 { try Test.cancel("the copy was faster than the kill") }
      let isTold = ["daemon is gone", "is not connected", "connection abort"].contains(where: outcome.stderr.contains)
      #expect(isTold, "\(outcome.stderr.prefix(1000))")
      #expect(outcome.complaints.count < 20, "\(outcome.complaints.count) lines: \(outcome.stderr.prefix(1000))")
    }
  }

  /// Runs the load and kills the daemon amid it.
  private func crash(_ volume: TestVolume, _ round: Int, afterMilliseconds delay: UInt64) throws {
    let path = Machine.programs + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
    let daemon = try volume.daemon()
    let programs = try (0..<3).map { number in
      let variables = ["M": volume.master, "R": volume.room.path, "ID": "\(round)-\(number)", "PATH": path]
      return try Child(
        ["bash", "-c", DaemonCrashTests.load], environment: variables.merging(Host.master.environment) { $1 })
    }
    Platform.Clock.sleep(nanoseconds: delay * 1_000_000)  // waits for nothing: this is the moment
    kill(daemon, SIGKILL)
    for program in programs { _ = try program.wait() }
    #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
    _ = try volume.famfs("umount", volume.master)
  }

  private func check(
    _ volume: TestVolume, _ sources: [[UInt8]], free: UInt64, safe: Set<String>, _ comment: Comment
  ) throws {
    var found: Set<String> = []
    var used: UInt64 = 0
    let names = try run(["find", volume.master, "-name", ".meta", "-prune", "-o", "-type", "f", "-print"]).stdout
    for path in names.split(separator: "\n").map(String.init) {
      found.insert(path)
      let whole = [".tmp", ".part"].reduce(path) { $0.hasSuffix($1) ? String($0.dropLast($1.count)) : $0 }
      let number = try #require(whole.split(separator: ".").last.flatMap { Int($0) }, comment)
      let bytes = try read(path)
      try #require(areSame(bytes, sources[number]), "\(path) has \(bytes.count) bytes; \(comment)")
      used += UInt64(bytes.count + 4095) / 4096 * 4096
    }
    try #require(safe.isSubset(of: found), "\(safe.subtracting(found)) are lost; \(comment)")
    try #require(volume.freeBytes() == free - used, comment)
    try succeed(volume.famfs("fsck", volume.master))
  }
}
