import Foundation
import Platform
import Testing

/// The master's mount used by programs that know nothing of famfs.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct StagingMountTests {
  /// A shell script on the master's mount, which must succeed. `$M` and `$C` are the mounts.
  @discardableResult
  private func shell(_ volume: TestVolume, _ script: String) throws -> String {
    let variables = ["M": volume.master, "C": volume.client, "R": volume.room.path]
      .merging(Host.master.environment) { $1 }
    let path = ["PATH": Machine.programs + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")]
    let outcome = try run(["bash", "-euxc", "cd $M\n" + script], environment: variables.merging(path) { $1 })
    try #require(outcome.status == 0, "\(outcome)")
    return outcome.stdout
  }

  private func isSeen(_ volume: TestVolume, _ name: String) -> Bool {
    seconds(until: { access(volume.client + "/" + name, F_OK) == 0 }) != nil
  }

  @Test("trees made by cp, tar, install and git are whole on the other host")
  func programs() throws {
    try withVolume(size: "512m", ["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      try shell(
        volume,
        """
        cp -r \(Machine.sources)/Sources tree
        tar cf - -C \(Machine.sources) Tests | tar xf -
        install -D -m 640 /etc/passwd deep/er/passwd
        mkdir -p a/b/c && touch a/b/c/empty && echo text > a/b/c/text
        dd if=/dev/urandom of=big bs=1M count=30 conv=fsync status=none
        python3 -c 'import os
        with open("p.tmp", "wb") as f: f.write(b"x" * 100000); f.flush(); os.fsync(f.fileno())
        os.rename("p.tmp", "p")'
        """)
      if Machine.has("git") {
        try shell(
          volume,
          """
          git init -q $R/repo && cd $R/repo && cp -r \(Machine.sources)/Sources . && git add .
          git -c user.name=n -c user.email=e commit -qm all
          git clone -q --depth 1 file://$R/repo $M/clone
          """)
      }
      try shell(volume, "famfs commit $M")
      for name in ["tree", "Tests", "deep/er/passwd", "a/b/c/text", "big", "p"] { #expect(isSeen(volume, name)) }
      #expect(seconds(until: { (try? run(["diff", "-r", volume.master, volume.client]))?.status == 0 }) != nil)
      try shell(
        volume,
        """
        diff -r \(Machine.sources)/Sources $C/tree
        diff -r \(Machine.sources)/Tests $C/Tests
        cmp /etc/passwd $C/deep/er/passwd; [ $(stat -c %a $C/deep/er/passwd) = 640 ]
        [ $(stat -c %s $C/a/b/c/empty) = 0 ]; [ "$(cat $C/a/b/c/text)" = text ]
        """)
      try succeed(volume.famfs("check", volume.master))
      try succeed(volume.famfs("check", volume.client, as: .client))
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("archives of hundreds of files unpack, and rsync finds nothing to do the second time")
  func manyFiles() throws {
    try withVolume(size: "256m", ["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      try shell(
        volume,
        """
        for d in $(seq 20); do mkdir -p $R/many/$d; for f in $(seq 30); do echo $d.$f > $R/many/$d/$f; done; done
        tar cf $R/many.tar -C $R/many .
        mkdir untarred; tar xf $R/many.tar -C untarred
        diff -r $R/many untarred; famfs commit untarred; diff -r $R/many untarred
        """)
      if Machine.hasPython {
        try shell(
          volume,
          """
          python3 -m zipfile -c $R/many.zip $R/many/
          python3 -m zipfile -e $R/many.zip unzipped; diff -r $R/many unzipped/many
          """)
      }
      if Machine.has("rsync") {
        try shell(
          volume,
          """
          rsync -a $R/many/ synced; diff -r $R/many synced
          [ -z "$(rsync -ai $R/many/ synced)" ]; famfs commit synced; [ -z "$(rsync -ai $R/many/ synced)" ]
          """)
      }
      try shell(volume, "famfs commit $M")
      #expect(seconds(until: { (try? run(["diff", "-r", volume.master, volume.client]))?.status == 0 }) != nil)
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("an editor saves a new file again and again until it is committed, and a committed one not by a rename")
  func saves() throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      let save = { (name: String, text: String) in
        let file = try FileDescriptor(
          opening: volume.master + "/" + name, [.writeOnly, .create, .exclusive], mode: 0o644)
        try file.write(text)
        #expect(fsync(file.rawValue) == 0)
      }
      // Under a passing name, which fsync does not commit; the rename does.
      try save("notes.tmp", "first")
      #expect(failure { rename(volume.master + "/notes.tmp", volume.master + "/notes") } == nil)
      #expect(isSeen(volume, "notes"))
      expect(volume.client + "/notes", holds: Array("first".utf8))
      try save("notes.tmp", "second")
      #expect(failure { rename(volume.master + "/notes.tmp", volume.master + "/notes") } == .notPermitted)
      #expect(failure { unlink(volume.master + "/notes.tmp") } == nil)
      // Without fsync all saves are one file.
      for round in 0..<5 {
        try write(Array("round \(round)".utf8), to: volume.master + "/draft.new")
        #expect(failure { rename(volume.master + "/draft.new", volume.master + "/draft") } == nil)
      }
      try succeed(volume.famfs("commit", volume.master))
      #expect(isSeen(volume, "draft"))
      expect(volume.client + "/draft", holds: Array("round 4".utf8))
      #expect(try run(["ls", volume.master]).stdout == "draft\nnotes\n")
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("a file is staged until fsync, famfs commit or a second after its last close; then size and name are fixed")
  func commits() throws {
    try withVolume(client: true) { volume in
      let path = volume.master + "/file"
      do {
        let file = try FileDescriptor(opening: path, [.readWrite, .create], mode: 0o600)
        try file.put([1, 2, 3], at: 0)
        // When another one was committed because its last close is a second ago, this one would have been.
        try shell(volume, "echo z > closed")
        #expect(isSeen(volume, "closed"))
        #expect(access(volume.client + "/file", F_OK) != 0, "it is open")
        try file.put([4], at: 9)
        #expect(try file.bytes(at: 0, count: 20) == [1, 2, 3, 0, 0, 0, 0, 0, 0, 4])
        #expect(fsync(file.rawValue) == 0)
        #expect(isSeen(volume, "file"))
        expect(volume.client + "/file", holds: [1, 2, 3, 0, 0, 0, 0, 0, 0, 4])
        try file.put([5], at: 3)  // in place
        #expect(throws: Errno.fileTooLarge) { try file.put([6], at: 10) }
        #expect(failure { ftruncate(file.rawValue, 5) } == .notPermitted)
        #expect(failure { rename(path, path + "2") } == .notPermitted)
        #expect(failure { unlink(path) } == .notPermitted)
        #expect(failure { chmod(path, 0o640) } == nil)
      }
      expect(volume.client + "/file", holds: [1, 2, 3, 5, 0, 0, 0, 0, 0, 4])
      try shell(volume, "mkdir d; exec 3> d/later; echo x >&3; echo y > now; famfs commit now; [ ! -e $C/d/later ]")
      #expect(isSeen(volume, "now"))
      #expect(isSeen(volume, "d/later"))
      #expect(failure { rmdir(volume.master + "/d") } == .notPermitted)
      expectRefusal(try volume.famfs("commit", volume.master + "/none"), naming: ["none"])
    }
  }

  @Test("what is staged can be renamed, replaced, cut, grown and removed, and its space comes back")
  func staged() throws {
    try withVolume(size: "256m", ["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let free = try volume.freeBytes()
      try shell(
        volume,
        """
        mkdir -p one/two; echo a > one/two/f; mv one/two/f one/g; rmdir one/two; mv one uno; [ "$(cat uno/g)" = a ]
        echo b > h; mv h uno/g; [ "$(cat uno/g)" = b ]; if mv -T uno uno/in 2> /dev/null; then exit 9; fi; rm -r uno; [ -z "$(ls)" ]
        truncate -s 10M t; [ $(stat -c %s t) = 10485760 ]; cmp -n 10485760 t /dev/zero
        echo end | dd of=t bs=1 seek=5000000 conv=notrunc status=none; truncate -s 5000004 t; truncate -s 8M t
        [ "$(tr -d '\\0' < t)" = end ]; python3 -c 'import os; os.posix_fallocate(os.open("t", os.O_RDWR), 0, 20 << 20)'; [ $(stat -c %s t) = 20971520 ]
        exec 3<> open; echo still >&3; rm open; [ "$(cat /proc/self/fd/3)" = still ]; exec 3>&-; rm t
        if ln -s a b 2> /dev/null || mkfifo pipe 2> /dev/null; then exit 9; fi; [ -z "$(ls)" ]
        if touch $(printf 'x%.0s' {1..80}) 2> /dev/null || mkdir .meta/d 2> /dev/null; then exit 9; fi
        """)
      #expect(seconds(until: { (try? volume.freeBytes()) == free }) != nil)
      #expect(try run(["ls", "-A", volume.master]).stdout == ".meta\n")
      try succeed(volume.famfs("fsck", volume.master))
      #expect(try volume.famfs("status", volume.master).stdout.contains(" 0 of 15420 used"))
    }
  }

  @Test("a daemon that is killed leaves what was committed, and nothing of what was staged")
  func killed() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let free = try volume.freeBytes() - 9 * 65536
      try shell(volume, "dd if=/dev/urandom of=kept bs=64k count=9 status=none; famfs commit kept; cp kept $R/copy")
      #expect(seconds(until: { (try? volume.freeBytes()) == free }) != nil, "it keeps more than it needs")
      try shell(volume, "mkdir d; cp kept d/gone; cp kept gone")
      let daemon = try volume.daemon()
      kill(daemon, SIGKILL)
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      try run(["famfs", "umount", volume.master])
      try volume.mount()
      #expect(try run(["ls", volume.master]).stdout == "kept\n")
      #expect(try volume.freeBytes() == free)
      try shell(volume, "cmp kept $R/copy; cp kept again")
      // Unmounted in time, all is there.
      try volume.unmount()
      try volume.mount()
      try shell(volume, "cmp again $R/copy")
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("famfs cp and mkdir work beside: into staged directories, and never onto a staged name")
  func besideCommands() throws {
    try withVolume(client: true) { volume in
      try shell(volume, "mkdir -p a/b; famfs cp /etc/passwd a/b/p; cmp /etc/passwd a/b/p; echo x > taken")
      expectRefusal(try volume.famfs("mkdir", volume.master + "/taken"), naming: ["taken"])
      expectRefusal(try volume.famfs("creat", "-s", "4096", volume.master + "/taken"), naming: ["taken"])
      #expect(isSeen(volume, "a/b/p"))
      expect(volume.client + "/a/b/p", holds: Array(try Data(contentsOf: URL(fileURLWithPath: "/etc/passwd"))))
      #expect(failure { mkdir(volume.client + "/no", 0o755) } == .readOnlyFileSystem)
    }
  }

  @Test("many programs make, list and remove at once, and every listing has each name once")
  func crowd() throws {
    try withVolume(size: "256m", ["--alloc-unit", "4k"], client: true) { volume in
      try shell(
        volume,
        """
        mkdir all
        for job in 1 2 3 4 5 6; do
          (for n in $(seq 60); do echo $job.$n > all/$job.$n; [ $((n % 7)) != 0 ] || rm -f all/$job.$n 2> /dev/null || true; done) &
        done
        (for n in $(seq 40); do ls all | sort | uniq -d > $R/dup.$n; famfs commit all; done) &
        wait
        [ -z "$(cat $R/dup.*)" ]
        """)
      let names = try run(["ls", volume.master + "/all"]).stdout.split(separator: "\n")
      try shell(volume, "famfs commit all; for f in all/*; do [ \"$(cat $f)\" = \"${f#all/}\" ]; done")
      #expect(names.count >= 6 * 52 && names.count <= 6 * 60)
      #expect(
        seconds(until: {
          (try? run(["ls", volume.client + "/all"]).stdout) == (try? run(["ls", volume.master + "/all"]).stdout)
        })
          != nil)
      try succeed(volume.famfs("check", volume.client, as: .client))
    }
  }
}
