import Glibc
import Platform
import Synchronization
import Testing

@Suite struct ErrnoTests {
  @Test("an error has the words of the C library")
  func words() {
    #expect("\(Errno.noEntry)" == "No such file or directory")
    #expect("\(Errno.inputOutput)" == "Input/output error")
    #expect("\(Errno(rawValue: 0))" == "Success")
    #expect("\(Errno(rawValue: 99_999))".contains("99999"))
    #expect("\(Errno(rawValue: .min))".contains("\(Int32.min)"))
  }

  @Test("a failed call throws what it left in errno")
  func thrown() {
    #expect(throws: Errno.noEntry) { _ = try FileDescriptor(opening: "/nonexistent", .readOnly) }
    #expect(throws: Errno.noEntry) { try FileStatus(path: "/nonexistent") }
    #expect(throws: Errno.notDirectory) { _ = try FileDescriptor(opening: "/dev/null", .directory) }
  }

  @Test("a call that a signal cut short is made again, and its result comes back")
  func retries() throws {
    var calls = 0
    let result = try retrying { () -> Int in
      calls += 1
      errno = EINTR
      return calls < 5 ? -1 : 42
    }
    #expect(result == 42)
    #expect(calls == 5)
    calls = 0
    #expect(throws: Errno.badAddress) {
      try retrying { () -> Int in
        calls += 1
        errno = calls == 1 ? EINTR : EFAULT
        return -1
      }
    }
    #expect(calls == 2)
  }
}

@Suite struct PipeTests {
  @Test("a pipe for which there are too few numbers fails, and leaves none of its ends open")
  func exhausted() async {
    // In a process of its own: other tests need numbers, too.
    await #expect(processExitsWith: .success) {
      var limit = rlimit(rlim_cur: 64, rlim_max: 64)
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
      // pipe(2) takes two numbers, and two more are taken above those of the standard streams.
      for free in 0..<4 {
        let taken = PipeTests.openAll()
        for number in taken.suffix(free) { close(number) }
        let failure = Result { () throws(Errno) in try Spawn.pipe() }
        let left = PipeTests.openAll()
        for number in Set(taken + left) { close(number) }
        #expect(throws: Errno(rawValue: EMFILE)) { try failure.get() }
        #expect(left.count == free)
      }
    }
  }

  /// Opens a file until there are no numbers left.
  private static func openAll() -> [Int32] {
    var numbers: [Int32] = []
    while true {
      let number = open("/dev/null", O_RDONLY | O_CLOEXEC)
      if number < 0 { return numbers }
      numbers.append(number)
    }
  }
}

@Suite struct ThreadTests {
  /// What a thread found out about itself.
  private final class Seen: Sendable {
    struct Facts {
      var runs = 0
      var name: String?
      var isOther = false
      var blocksTerm = false
      var blocksBus = true
    }
    let facts = Mutex(Facts())
    let isNamed = Atomic(false)
  }

  @Test("a thread runs its body once, under its name, with all signals blocked but SIGBUS")
  func runs() throws {
    let seen = Seen()
    let starter = UInt(pthread_self())
    let thread = try Thread(named: "weft-test") {
      // The name is given right after the start.
      while !seen.isNamed.load(ordering: .acquiring) { sched_yield() }
      var mask = sigset_t()
      pthread_sigmask(SIG_SETMASK, nil, &mask)
      let name = firstLine(of: "/proc/thread-self/comm")
      let (term, bus) = (sigismember(&mask, SIGTERM), sigismember(&mask, SIGBUS))
      seen.facts.withLock {
        $0.runs += 1
        $0.name = name
        $0.isOther = UInt(pthread_self()) != starter
        $0.blocksTerm = term == 1
        $0.blocksBus = bus == 1
      }
    }
    seen.isNamed.store(true, ordering: .releasing)
    thread.join()
    let facts = seen.facts.withLock { $0 }
    #expect(facts.runs == 1)
    #expect(facts.name == "weft-test")
    #expect(facts.isOther)
    #expect(facts.blocksTerm)
    #expect(!facts.blocksBus)
  }

  @Test("a thread that is neither joined nor kept gives its stack back")
  func dropped() async {
    // In a process of its own, which has room for some 100 stacks of 8 MiB.
    await #expect(processExitsWith: .success) {
      let status = String(decoding: try readSmallFile("/proc/self/statm"), as: UTF8.self)
      let pages = try #require(status.split(separator: " ").first.flatMap { UInt64($0) })
      var limit = rlimit()
      limit.rlim_cur = rlim_t(pages * UInt64(pageSize) + 1 << 30)
      limit.rlim_max = limit.rlim_cur
      try #require(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
      for _ in 0..<400 {
        let seen = Seen()
        _ = try Thread(named: "weft-test") { seen.isNamed.store(true, ordering: .releasing) }
        while !seen.isNamed.load(ordering: .acquiring) || directoryNames("/proc/self/task").count > 16 { sched_yield() }
      }
    }
  }

  @Test("starting a thread leaves the starter's signals as they were")
  func mask() throws {
    var before = sigset_t()
    var after = sigset_t()
    pthread_sigmask(SIG_SETMASK, nil, &before)
    try Thread(named: "weft-test") {}.join()
    pthread_sigmask(SIG_SETMASK, nil, &after)
    for signal: Int32 in 1...31 { #expect(sigismember(&before, signal) == sigismember(&after, signal)) }
  }

  @Test("what a thread's body holds is let go when the body ends")
  func lifetime() throws {
    weak var held: Seen?
    do {
      let seen = Seen()
      held = seen
      try Thread(named: "weft-test") { seen.isNamed.store(true, ordering: .relaxed) }.join()
    }
    #expect(held == nil)
  }

  @Test("there is at least one processor")
  func processors() { #expect(processorCount() >= 1) }
}

@Suite struct ClockTests {
  @Test("monotonic time never steps back, and real time is of this century")
  func steps() {
    var last = Clock.monotonic()
    for _ in 0..<1000 {
      let now = Clock.monotonic()
      #expect(now >= last)
      last = now
    }
    #expect(Clock.realtime() > 1_600_000_000 * 1_000_000_000)
  }
}

@Suite struct ServiceManagerTests {
  @Test("a message reaches a socket in the abstract name space, as one datagram, and no line adds another")
  func abstract() throws {
    let name = "weft-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let file = FileDescriptor(owning: try retrying { socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0) })
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: [0] + Array(name.utf8)) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
    let number = file.rawValue
    try withUnsafePointer(to: &address) { pointer in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        _ = try retrying { bind(number, pointer, length) }
      }
    }
    let manager = try #require(ServiceManager(socketName: "@" + name))
    try manager.tell(["READY=1", "STATUS=a\nSTOPPING=1"])
    var bytes = [UInt8](repeating: 0, count: 100)
    let count = recv(number, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    #expect(count > 0 && String(decoding: bytes[..<max(0, count)], as: UTF8.self) == "READY=1\nSTATUS=a?STOPPING=1")
  }

  @Test("names of other kinds are nobody's, and one that nobody listens at, or that is too long, is an error")
  func names() throws {
    for name in ["", "@", "/", "relative", "vsock:2:1234"] {
      #expect(ServiceManager(socketName: name) == nil, "\(name)")
    }
    let nobody = try #require(ServiceManager(socketName: "@weft-test-nobody-\(getpid())"))
    #expect(throws: Errno(rawValue: ECONNREFUSED)) { try nobody.tell(["READY=1"]) }
    let long = try #require(ServiceManager(socketName: "/" + String(repeating: "x", count: 200)))
    #expect(throws: Errno.nameTooLong) { try long.tell(["READY=1"]) }
  }
}
