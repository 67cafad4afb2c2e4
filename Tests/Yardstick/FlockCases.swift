import CYardstick
import Glibc

/// flock(2).
enum FlockCases {
  private static let shared = YARD_LOCK_SH, exclusive = YARD_LOCK_EX, now = YARD_LOCK_NB, free = YARD_LOCK_UN

  static let all: [YardstickCase] = [
    YardstickCase("flock", "exclusive locks exclude all, shared ones only exclusive ones", needs: [.locks]) { t in
      try t.make("f")
      let a = try t.open("f", O_RDONLY).file(), b = try t.open("f", O_RDWR).file()
      a.flock(shared | now).gives(0)
      b.flock(shared | now).gives(0)
      b.flock(exclusive | now).fails(EAGAIN)
      a.flock(free).gives(0)
      b.flock(exclusive | now).gives(0)
      a.flock(shared | now).fails(EAGAIN)
      b.flock(shared | now).gives(0)
      a.flock(shared | now).gives(0)
      a.flock(free).gives(0)
      a.flock(free).gives(0)
      a.flock(0).fails(EINVAL)
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase(
      "flock", "a lock is the open file's: duplicates share it, and the last close ends it", needs: [.locks]
    ) { t in
      try t.make("f")
      let a = try t.open("f", O_RDONLY).file(), b = try t.open("f", O_RDONLY).file()
      let copy = File(Int32(try t.call("dup", SYS_dup, Int(a.number)).ok()), t)
      a.flock(exclusive | now).gives(0)
      copy.flock(exclusive | now).gives(0)
      try t.open("f", O_RDONLY).file().close().gives(0)
      b.flock(shared | now).fails(EAGAIN)
      a.close().gives(0)
      b.flock(shared | now).fails(EAGAIN)
      copy.close().gives(0)
      try t.soon { b.flock(exclusive | now) }
      b.close().gives(0)
    },
    YardstickCase("flock", "an unlock by a duplicate ends the lock", needs: [.locks]) { t in
      try t.make("f")
      let a = try t.open("f", O_RDONLY).file(), b = try t.open("f", O_RDONLY).file()
      let copy = File(Int32(try t.call("dup", SYS_dup, Int(a.number)).ok()), t)
      a.flock(exclusive | now).gives(0)
      copy.flock(free).gives(0)
      b.flock(exclusive | now).gives(0)
      for file in [a, b, copy] { file.close().gives(0) }
    },
    YardstickCase("flock", "another process waits, and has it once it is free", needs: [.locks]) { t in
      try t.make("f")
      let file = try t.open("f", O_RDONLY).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDONLY)
      file.flock(exclusive).gives(0)
      try other.flock(theirs, shared | now).fails(EAGAIN)
      try other.beginFlock(theirs, exclusive)
      try other.waitUntilItSleeps(in: SYS_flock)
      file.flock(free).gives(0)
      other.finish("flock").gives(0)
      file.flock(shared | now).fails(EAGAIN)
      other.end()
      // Over FUSE the last close ends the lock by a RELEASE, which no process waits for.
      try t.soon { file.flock(exclusive | now) }
      file.close().gives(0)
    },
    YardstickCase("flock", "a signal interrupts the wait, and leaves no lock", needs: [.locks]) { t in
      try t.make("f")
      let file = try t.open("f", O_RDONLY).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDONLY)
      file.flock(shared).gives(0)
      try other.beginFlock(theirs, exclusive)
      try other.waitUntilItSleeps(in: SYS_flock)
      other.interrupt()
      other.finish("flock").fails(EINTR)
      file.flock(exclusive | now).gives(0)
      other.end()
      file.close().gives(0)
    },
    YardstickCase(
      "flock", "a lock ends when the file is closed while another waits, or a waiter is killed", needs: [.locks]
    ) {
      t in
      try t.make("f")
      let file = try t.open("f", O_RDONLY).file()
      let first = try OtherProcess(t), second = try OtherProcess(t)
      file.flock(exclusive).gives(0)
      for other in [first, second] {
        try other.beginFlock(try other.open("f", O_RDONLY), exclusive)
        try other.waitUntilItSleeps(in: SYS_flock)
      }
      first.end()
      file.close().gives(0)
      second.finish("flock").gives(0)
      second.end()
    },
    YardstickCase("flock", "it and locks of fcntl do not see each other", needs: [.locks]) { t in
      try t.make("f")
      let a = try t.open("f", O_RDWR).file(), b = try t.open("f", O_RDWR).file()
      a.flock(exclusive | now).gives(0)
      b.lock(YARD_F_OFD_SETLK, .write()).gives(0)
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase("flock", "directories can be locked", needs: [.locks]) { t in
      try t.mkdir("d").ok()
      let a = try t.open("d", O_RDONLY | O_DIRECTORY).file(), b = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      a.flock(exclusive | now).gives(0)
      b.flock(shared | now).fails(EAGAIN)
      a.close().gives(0)
      try t.soon { b.flock(shared | now) }
      b.close().gives(0)
    },
    YardstickCase("flock", "a lock lives on through rename and unlink", needs: [.locks]) { t in
      try t.make("f")
      let a = try t.open("f", O_RDONLY).file(), b = try t.open("f", O_RDONLY).file()
      a.flock(exclusive | now).gives(0)
      try t.rename("f", "g").ok()
      b.flock(shared | now).fails(EAGAIN)
      try t.unlink("g").ok()
      b.flock(shared | now).fails(EAGAIN)
      try t.make("f")
      let new = try t.open("f", O_RDONLY).file()
      new.flock(exclusive | now).gives(0)
      for file in [a, b, new] { file.close().gives(0) }
    },
  ]
}
