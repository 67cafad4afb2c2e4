import Glibc
import Platform

/// The tests of what a local Linux file system does, as a list of cases that run against any mounted directory.
public enum Yardstick {
  /// Every case, by theme.
  public static let cases: [YardstickCase] = [
    OpenCases.all, NameCases.all, DirectoryCases.all, LinkCases.all, SymlinkCases.all, RenameCases.all,
    RenameFlagCases.all, SizeCases.all, HoleCases.all, ReadWriteCases.all, MappingCases.all, CopyCases.all,
    TemporaryFileCases.all, XattrCases.all, ACLCases.all, OwnerCases.all, TimeCases.all, ListingCases.all,
    SpecialFileCases.all,
    FileSystemCases.all, LockCases.all, FlockCases.all, FileFlagCases.all, ConcurrencyCases.all,
    RandomCases.all,
  ].flatMap { $0 }
}

/// One thing that a local file system does.
public struct YardstickCase: Sendable, CustomStringConvertible {
  /// What it is about: the calls that its file in this folder names.
  public let theme: String
  /// What is expected, as a sentence.
  public let name: String
  /// What a mount must have for it.
  public let needs: [YardstickFeature]
  let body: @Sendable (Trial) throws -> Void

  init(
    _ theme: String, _ name: String, needs: [YardstickFeature] = [], _ body: @escaping @Sendable (Trial) throws -> Void
  ) {
    self.theme = theme
    self.name = name
    self.needs = needs
    self.body = body
  }

  /// The theme and the sentence.
  public var description: String { "\(theme): \(name)" }

  /// What the case needs and the mount does not have. Such a case is skipped, and the test says why.
  public func lacking(on target: YardstickTarget) -> [YardstickFeature] {
    needs.filter { !target.features.contains($0) }
  }

  /// Runs the case in a new directory of the mount, on a thread whose working directory and umask are its own, and
  /// removes the directory.
  /// - Throws: `YardstickFailure` with every check that failed.
  public func run(on target: YardstickTarget) throws {
    let trial = Trial(target, caseName: description)
    var directory = Array("\(target.directory)/yardstick-XXXXXX".utf8CString)
    guard mkdtemp(&directory) != nil else { throw Errno.current }
    let path = Name(directory.dropLast().map { UInt8(bitPattern: $0) })
    let body = self.body
    try onThread {
      try retrying { unshareFileSystem() }
      umask(0)
      try retrying { chdir(path.pointer) }
      try retrying { chmod(".", 0o755) }
      do { try body(trial) } catch {
        trial.fail("ended early: \(error)", at: ("Yardstick", 0))
      }
      trial.removeAll(in: ".")
      try retrying { chdir("/") }
      if rmdir(path.pointer) != 0 { trial.fail("cannot remove its directory: \(Errno.current)", at: ("Yardstick", 0)) }
    }
    let failures = trial.failures
    if !failures.isEmpty { throw YardstickFailure(name: description, lines: failures) }
  }
}

/// The checks of one case that failed.
public struct YardstickFailure: Error, CustomStringConvertible {
  /// The case's description.
  public let name: String
  /// One line for each check, beginning with where it is in the source.
  public let lines: [String]
  /// All of it, for a test's report.
  public var description: String { name + lines.map { "\n  " + $0 }.joined() }
}
