import CYardstick
import Glibc
import Platform

/// The locks of fcntl(2): those of POSIX, which belong to a process, and those of an open file description.
enum LockCases {
  static let all: [YardstickCase] = conflicts + waiting + descriptions

  private static let set = Int(F_SETLK), wait = Int(F_SETLKW), get = Int(F_GETLK)

  private static let conflicts: [YardstickCase] = [
    YardstickCase("POSIX locks", "two processes' write locks exclude each other, read locks do not", needs: [.locks]) {
      t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      file.lock(set, .read(0, 10)).gives(0)
      try other.lock(theirs, set, .read(0, 10)).gives(0)
      try other.lock(theirs, set, .write(5, 1)).fails(EAGAIN, EACCES)
      file.lock(set, .write(9, 5)).fails(EAGAIN, EACCES)
      try other.lock(theirs, set, .write(10, 10)).gives(0)
      file.lock(set, .read(19, 1)).fails(EAGAIN, EACCES)
      file.lock(set, .write(20, 10)).gives(0)
      file.lock(set, .none()).gives(0)
      try other.lock(theirs, set, .write(0, 10)).gives(0)
      other.end()
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "GETLK tells what is in the way and whose it is", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      t.equal(try file.inTheWay(get, of: .write()), nil)
      try other.lock(theirs, set, .write(20, 30)).gives(0)
      let found = try file.inTheWay(get, of: .read(0, 25))
      t.equal([found?.start, found?.count], [20, 30])
      t.equal([found?.type, found?.holder], [F_WRLCK, other.id])
      t.equal(try file.inTheWay(get, of: .write(0, 20)), nil)
      file.lock(set, .read(60)).gives(0)
      t.equal(try file.inTheWay(get, of: .write(60)), nil, "its own is not in the way")
      try other.lock(theirs, get, .write(0)).gives(0)
      t.equal([other.lastLock.type, other.lastLock.holder], [F_RDLCK, getpid()])
      t.equal([other.lastLock.start, other.lastLock.count], [60, 0])
      other.end()
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "ranges split, merge and change their kind", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      let ranges: () throws -> [[Int]] = {
        var found: [[Int]] = []
        var place = 0
        while place < 100 {
          try other.lock(theirs, get, .write(place, 100 - place)).ok()
          if other.lastLock.type == F_UNLCK { break }
          found.append([other.lastLock.start, other.lastLock.count, Int(other.lastLock.type)])
          place = other.lastLock.start + other.lastLock.count
        }
        return found
      }
      file.lock(set, .write(0, 100)).gives(0)
      file.lock(set, .none(40, 20)).gives(0)
      t.equal(try ranges(), [[0, 40, Int(F_WRLCK)], [60, 40, Int(F_WRLCK)]])
      file.lock(set, .read(10, 10)).gives(0)
      let (r, w) = (Int(F_RDLCK), Int(F_WRLCK))
      t.equal(try ranges(), [[0, 10, w], [10, 10, r], [20, 20, w], [60, 40, w]])
      file.lock(set, .write(10, 50)).gives(0)
      t.equal(try ranges(), [[0, 100, w]])
      file.lock(set, .read(0, 100)).gives(0)
      t.equal(try ranges(), [[0, 100, r]])
      file.lock(set, .none(0, 1)).gives(0)
      file.lock(set, .none(99, 1)).gives(0)
      t.equal(try ranges(), [[1, 98, r]])
      other.end()
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "closing any descriptor of the file ends a process's locks", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      let second = try other.open("f", O_RDONLY)
      try other.lock(theirs, set, .write()).gives(0)
      file.lock(set, .read(0, 1)).fails(EAGAIN, EACCES)
      try other.close(second).gives(0)
      file.lock(set, .write()).gives(0)
      file.close().gives(0)
      try other.lock(theirs, set, .write()).gives(0)
      other.end()
    },
    YardstickCase("POSIX locks", "the end of a process ends its locks", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      try other.lock(try other.open("f", O_RDWR), set, .write()).gives(0)
      file.lock(set, .write()).fails(EAGAIN, EACCES)
      other.end()
      file.lock(set, .write()).gives(0)
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "a lock needs a file that is open for it, and a range that can be", needs: [.locks]) {
      t in
      try t.make("f", pattern(100))
      let reader = try t.open("f", O_RDONLY).file()
      let writer = try t.open("f", O_WRONLY).file()
      reader.lock(set, .write()).fails(EBADF)
      writer.lock(set, .read()).fails(EBADF)
      reader.lock(set, .read(-1, 1)).fails(EINVAL)
      reader.lock(set, Lock(type: 77, start: 0, count: 0)).fails(EINVAL)
      reader.lock(set, .read(50, -10)).gives(0)  // The ten bytes before 50.
      reader.lock(set, .read(1 << 40, 1)).gives(0)
      reader.lock(set, .none(0, 0)).gives(0)
      reader.close().gives(0)
      writer.close().gives(0)
    },
  ]

  private static let waiting: [YardstickCase] = [
    YardstickCase("POSIX locks", "SETLKW waits until the lock is free", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      file.lock(set, .write(0, 50)).gives(0)
      try other.beginLock(theirs, wait, .write(49, 10))
      try other.waitUntilItSleeps(in: SYS_fcntl)
      file.lock(set, .none(0, 49)).gives(0)
      try other.waitUntilItSleeps(in: SYS_fcntl)
      file.lock(set, .none(49, 1)).gives(0)
      other.finish("fcntl SETLKW").gives(0)
      file.lock(set, .read(49, 1)).fails(EAGAIN, EACCES)
      other.end()
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "SETLKW ends when the holder closes the file, or ends", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      for ends in [false, true] {
        let holder = try OtherProcess(t), waiter = try OtherProcess(t)
        let held = try holder.open("f", O_RDWR), wanted = try waiter.open("f", O_RDWR)
        try holder.lock(held, set, .write()).gives(0)
        try waiter.beginLock(wanted, wait, .read(10, 1))
        try waiter.waitUntilItSleeps(in: SYS_fcntl)
        if ends { holder.end() } else { try holder.close(held).gives(0) }
        waiter.finish("fcntl SETLKW").gives(0)
        holder.end()
        waiter.end()
      }
    },
    YardstickCase("POSIX locks", "a signal interrupts SETLKW, and leaves no lock", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      file.lock(set, .write()).gives(0)
      try other.beginLock(theirs, wait, .write())
      try other.waitUntilItSleeps(in: SYS_fcntl)
      other.interrupt()
      other.finish("fcntl SETLKW").fails(EINTR)
      file.lock(set, .none()).gives(0)
      t.equal(try file.inTheWay(get, of: .write()), nil)
      try other.lock(theirs, set, .write()).gives(0)
      other.end()
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "a waiter that is killed leaves nothing", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      file.lock(set, .write()).gives(0)
      try other.beginLock(try other.open("f", O_RDWR), wait, .write())
      try other.waitUntilItSleeps(in: SYS_fcntl)
      other.end()
      file.lock(set, .none()).gives(0)
      t.equal(try file.inTheWay(get, of: .write()), nil)
      file.close().gives(0)
    },
    YardstickCase("POSIX locks", "processes that wait for each other get EDEADLK", needs: [.locks, .deadlocks]) { t in
      try t.make("f", pattern(100))
      let a = try OtherProcess(t), b = try OtherProcess(t)
      let inA = try a.open("f", O_RDWR), inB = try b.open("f", O_RDWR)
      try a.lock(inA, set, .write(0, 10)).gives(0)
      try b.lock(inB, set, .write(10, 10)).gives(0)
      try a.beginLock(inA, wait, .write(10, 10))
      try a.waitUntilItSleeps(in: SYS_fcntl)
      try b.lock(inB, wait, .write(0, 10)).fails(EDEADLK)
      try b.lock(inB, set, .none()).gives(0)
      a.finish("fcntl SETLKW").gives(0)
      a.end()
      b.end()
    },
    YardstickCase("POSIX locks", "three waiters each get the lock in the end", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      file.lock(set, .write()).gives(0)
      let others = try (0..<3).map { _ in try OtherProcess(t) }
      for other in others {
        try other.beginLock(try other.open("f", O_RDWR), wait, .write())
        try other.waitUntilItSleeps(in: SYS_fcntl)
      }
      file.lock(set, .none()).gives(0)
      // The first that has it ends, and so hands it on.
      var left = others
      while !left.isEmpty {
        let holder = try lockHolder(of: file, among: left, t)
        holder.finish("fcntl SETLKW").gives(0)
        holder.end()
        left.removeAll { $0 === holder }
      }
      file.lock(set, .write()).gives(0)
      file.close().gives(0)
    },
  ]

  private static func lockHolder(of file: File, among others: [OtherProcess], _ t: Trial) throws -> OtherProcess {
    var holder: OtherProcess?
    try t.wait(
      until: {
        let id = try file.inTheWay(get, of: .write())?.holder
        holder = others.first { $0.id == id }
        return holder != nil
      }, "one of the waiters holds the lock")
    guard let holder else { throw Stop() }
    return holder
  }

  private static let ofdSet = YARD_F_OFD_SETLK, ofdWait = YARD_F_OFD_SETLKW, ofdGet = YARD_F_OFD_GETLK

  private static let descriptions: [YardstickCase] = [
    YardstickCase("OFD locks", "a description has no process", needs: [.locks, .descriptionHolders]) { t in
      try t.make("f", pattern(100))
      let a = try t.open("f", O_RDWR).file(), b = try t.open("f", O_RDWR).file()
      a.lock(ofdSet, .write(0, 10)).gives(0)
      t.equal(try b.inTheWay(ofdGet, of: .write(0, 10))?.holder, -1)
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase("OFD locks", "two opens of one process exclude each other, duplicates do not", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let a = try t.open("f", O_RDWR).file(), b = try t.open("f", O_RDWR).file()
      let copy = File(Int32(try t.call("dup", SYS_dup, Int(a.number)).ok()), t)
      a.lock(ofdSet, .write(0, 10)).gives(0)
      b.lock(ofdSet, .write(9, 1)).fails(EAGAIN)
      b.lock(ofdSet, .read(0, 1)).fails(EAGAIN)
      copy.lock(ofdSet, .read(0, 5)).gives(0)
      b.lock(ofdSet, .read(0, 5)).gives(0)
      let found = try b.inTheWay(ofdGet, of: .write(0, 10))
      t.equal([found?.start, found?.count], [0, 5])
      t.equal(found?.type, F_RDLCK)
      a.close().gives(0)
      b.lock(ofdSet, .write(5, 5)).fails(EAGAIN)  // The duplicate still holds it.
      copy.close().gives(0)
      try t.soon { b.lock(ofdSet, .write()) }
      b.close().gives(0)
    },
    YardstickCase("OFD locks", "closing another descriptor of the file leaves them", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let a = try t.open("f", O_RDWR).file(), b = try t.open("f", O_RDWR).file()
      a.lock(ofdSet, .write()).gives(0)
      try t.open("f", O_RDWR).file().close().gives(0)
      b.lock(ofdSet, .read()).fails(EAGAIN)
      a.close().gives(0)
      try t.soon { b.lock(ofdSet, .read()) }
      b.close().gives(0)
    },
    YardstickCase("OFD locks", "they and POSIX locks are in each other's way", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      file.lock(ofdSet, .write(0, 10)).gives(0)
      try other.lock(theirs, set, .write(5, 1)).fails(EAGAIN, EACCES)
      try other.lock(theirs, set, .write(10, 10)).gives(0)
      file.lock(ofdSet, .read(15, 1)).fails(EAGAIN)
      other.end()
      file.lock(ofdSet, .read(15, 1)).gives(0)
      file.close().gives(0)
    },
    YardstickCase("OFD locks", "SETLKW waits, and a signal interrupts it", needs: [.locks]) { t in
      try t.make("f", pattern(100))
      let file = try t.open("f", O_RDWR).file()
      let other = try OtherProcess(t)
      let theirs = try other.open("f", O_RDWR)
      file.lock(ofdSet, .write()).gives(0)
      try other.beginLock(theirs, ofdWait, .write())
      try other.waitUntilItSleeps(in: SYS_fcntl)
      other.interrupt()
      other.finish("fcntl OFD_SETLKW").fails(EINTR)
      try other.beginLock(theirs, ofdWait, .write())
      try other.waitUntilItSleeps(in: SYS_fcntl)
      file.close().gives(0)
      other.finish("fcntl OFD_SETLKW").gives(0)
      other.end()
    },
  ]
}
