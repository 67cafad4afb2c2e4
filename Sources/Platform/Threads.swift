import CLinux
import Glibc
import Synchronization

/// A plain thread. Blocking work runs on these; Swift concurrency is for other things.
///
/// Whether its end is waited for is decided when it starts: `init` starts one to join, `detached` one that goes on alone.
/// Either way the kernel gets its stack back: a thread that is never joined is detached when the last reference goes.
public final class Thread: Sendable {
  private let handle: pthread_t
  private let isJoined: Atomic<Bool>

  /// Starts a thread that runs `body` once, to be joined. All signals are blocked in it: they are for the main thread.
  /// - Parameter name: at most 15 bytes, as ps -L and top -H show it.
  public init(named name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    handle = try Thread.start(name, isDetached: false, body)
    // Last: of an object that is half made the optimizer of Swift 6.3 cannot destroy this, and aborts.
    isJoined = Atomic(false)
  }

  /// Starts a thread that runs `body` once and that is never joined.
  /// - Parameter name: at most 15 bytes.
  public static func detached(named name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    _ = try start(name, isDetached: true, body)
  }

  deinit { if !isJoined.load(ordering: .acquiring) { pthread_detach(handle) } }

  /// Waits for the thread's end. Call it once.
  public func join() {
    precondition(!isJoined.exchange(true, ordering: .acquiringAndReleasing), "a thread is joined once")
    pthread_join(handle, nil)
  }

  private static func start(
    _ name: String, isDetached: Bool, _ body: @escaping @Sendable () -> Void
  ) throws(Errno) -> pthread_t {
    let box = Unmanaged.passRetained(Body(name: name, run: body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(
      &attributes, Int32(isDetached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE))
    var everything = sigset_t()
    var before = sigset_t()
    sigfillset(&everything)
    pthread_sigmask(SIG_SETMASK, &everything, &before)
    var handle = pthread_t()
    let failure = pthread_create(&handle, &attributes, runBody, box.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard failure == 0 else {
      box.release()
      throw Errno(rawValue: failure)
    }
    return handle
  }
}

private final class Body {
  let name: String
  let run: @Sendable () -> Void

  init(name: String, run: @escaping @Sendable () -> Void) {
    self.name = name
    self.run = run
  }
}

private func runBody(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  // SIGBUS from a guarded load must be delivered: it is raised by the thread itself and cannot wait.
  var busError = sigset_t()
  sigemptyset(&busError)
  sigaddset(&busError, SIGBUS)
  pthread_sigmask(SIG_UNBLOCK, &busError, nil)
  guard let argument else { return nil }
  let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
  // By itself: the handle of a detached thread that has ended already is another's.
  weft_name_thread(pthread_self(), body.name)
  body.run()
  return nil
}

/// The number of processors that are online.
public func processorCount() -> Int {
  max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}

/// What a process does, as the kernel shows it in /proc (proc_pid_stat(5)): `T` for one that a signal has stopped, `Z` for
/// one that has ended and that its parent has not missed; nil when there is no such process.
public func processState(_ process: Int32) -> Character? {
  guard let line = firstLine(of: "/proc/\(process)/stat"), let end = line.lastIndex(of: ")") else { return nil }
  return line[end...].dropFirst(2).first
}
