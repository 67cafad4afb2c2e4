import CLinux
import Glibc

/// Starting other programs.
public enum Spawn {
  /// How a child is set up.
  public struct Options: Sendable {
    /// A descriptor of this process that the child gets as number 3.
    public var extraDescriptor: Int32?
    /// A session of its own, away from the terminal, in the root directory, with /dev/null for its standard streams
    /// and no other open file of this process.
    public var isDaemon = false
    /// A descriptor of this process that becomes the child's standard error.
    public var standardError: Int32?
    /// Variables that are added to the environment, such as `NAME=value`.
    public var variables: [String] = []

    /// The usual.
    public init() {}
  }

  /// Starts a program. The corresponding C function is `posix_spawnp`.
  /// - Parameter arguments: argv, the name to be called by first.
  /// - Returns: the child's process id.
  public static func start(_ program: String, _ arguments: [String], _ options: Options = Options()) throws(Errno)
    -> pid_t
  {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if options.isDaemon {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
      posix_spawn_file_actions_adddup2(&actions, 0, 2)
    }
    if let descriptor = options.standardError { posix_spawn_file_actions_adddup2(&actions, descriptor, STDERR_FILENO) }
    if let descriptor = options.extraDescriptor { posix_spawn_file_actions_adddup2(&actions, descriptor, 3) }
    if options.isDaemon { weft_spawn_leave(&actions) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Whatever this process blocks or ignores, the child starts fresh.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    let session = options.isDaemon ? weft_spawn_new_session() : 0
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | session)

    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0.cFileName) }
    argv.append(nil)
    var variables: [UnsafeMutablePointer<CChar>?] = options.variables.map { strdup($0) }
    defer { for text in argv + variables { free(text) } }
    var environment = weft_environment()
    while let variable = environment?.pointee {
      variables.append(strdup(variable))
      environment? += 1
    }
    variables.append(nil)
    var child = pid_t()
    let failure = posix_spawnp(&child, program.cFileName, &actions, &attributes, argv, variables)
    if failure != 0 { throw Errno(rawValue: failure) }
    return child
  }

  /// Has a program take this process's place. The corresponding C function is `execvp`.
  /// - Parameter arguments: argv, the name to be called by first.
  /// - Returns: why it could not be started.
  public static func replace(by program: String, _ arguments: [String]) -> Errno {
    var argv = arguments.map { strdup($0.cFileName) } + [nil]
    defer { for text in argv { free(text) } }
    execvp(program.cFileName, &argv)
    return Errno.current
  }

  /// Waits for a child's end. The corresponding C function is `waitpid`.
  /// - Returns: its exit status, or 128 and its signal's number added up.
  @discardableResult
  public static func wait(for child: pid_t) throws(Errno) -> Int32 {
    var status: Int32 = 0
    try retrying { waitpid(child, &status, 0) }
    return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
  }

  /// A pipe: what is written at one end is read at the other. Neither end is one of the standard streams, also in a
  /// process that has those closed.
  public static func pipe() throws(Errno) -> (reading: Int32, writing: Int32) {
    var ends: (Int32, Int32) = (0, 0)
    try retrying {
      withUnsafeMutableBytes(of: &ends) { weft_pipe($0.assumingMemoryBound(to: Int32.self).baseAddress) }
    }
    return ends
  }
}
