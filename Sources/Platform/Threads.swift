import CLinux
import Glibc

/// A plain thread. Blocking work runs on these; Swift concurrency is for other things.
public struct Thread: Sendable {
  private let handle: pthread_t

  /// Starts a thread that runs `body` once. All signals are blocked in it: they are for the main thread.
  /// - Parameter name: at most 15 bytes, as ps -L and top -H show it.
  public init(named name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    let box = Unmanaged.passRetained(Body(run: body))
    var everything = sigset_t()
    var before = sigset_t()
    sigfillset(&everything)
    pthread_sigmask(SIG_SETMASK, &everything, &before)
    var handle = pthread_t()
    let failure = pthread_create(&handle, nil, runBody, box.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard failure == 0 else {
      box.release()
      throw Errno(rawValue: failure)
    }
    weft_name_thread(handle, name)
    self.handle = handle
  }

  /// Waits for the thread's end. Call it once.
  public func join() { pthread_join(handle, nil) }
}

private final class Body {
  let run: @Sendable () -> Void
  init(run: @escaping @Sendable () -> Void) { self.run = run }
}

private func runBody(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  // SIGBUS from a guarded load must be delivered: it is raised by the thread itself and cannot wait.
  var busError = sigset_t()
  sigemptyset(&busError)
  sigaddset(&busError, SIGBUS)
  pthread_sigmask(SIG_UNBLOCK, &busError, nil)
  guard let argument else { return nil }
  Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
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
