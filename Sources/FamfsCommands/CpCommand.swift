import CommandKit
import Famfs
import FamfsControl
import Glibc
import Memory
import Platform
import Synchronization

/// famfs cp
enum CpCommand: Command {
  static let name = "cp"
  static let synopsis = "[options] SOURCE... DEST"
  static let about = """
    Copy files into a mounted famfs.

    One file to a new name or into a directory, several into a directory, trees with -r. Each new file appears on every
    host when it is complete, and not before. A file that exists is copied again, in place, if it has the source's size;
    so a copy that was interrupted is finished by the same command. With -c only pages that differ are, and the exit status
    is 1 when there were some. The directory that DEST lies in must exist. Symbolic links are
    followed, because famfs has none.
    """
  static let options =
    [
      Option("r", "recursive", nil, "copy directories and what is in them"),
      Option("T", "no-target-directory", nil, "DEST is what the copy is to be called, also when it is a directory"),
      Option("P", "no-dereference", nil, "leave symbolic links out: for sources that another user can change"),
      Option("c", "compare", nil, "compare files that exist and copy the pages that differ; name files with such"),
      Option(nil, "size", "SIZE", "SOURCE is a pipe, or - for the standard input, and this many bytes come"),
      Option(
        "t", "threads", "N", "copy so many files at a time, 0 to 256 (as many as there are processors, 4 at most)"),
      Option("m", "mode", "MODE", "permission bits of the files, in octal (those of the source)"),
      Option("u", "uid", "UID", "owner (the caller)"),
      Option("g", "gid", "GID", "group (the caller's)"),
      Option("v", "verbose", nil, "print a line for each file copied"),
    ] + Arguments.stripingOptions
  static let goesOn = true
  static let examples = [
    "famfs cp model.safetensors /mnt/fam/", "famfs cp -r /data/set /mnt/fam/set",
    "famfs cp -r -c -T /data/set /mnt/fam/set", "zstd -dc model.zst | famfs cp --size 4g - /mnt/fam/model",
  ]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard let destination = arguments.operands.last, arguments.operands.count >= 2 else {
      throw UsageError("name one source or more, and where to copy them")
    }
    let threads = try arguments.number("threads", in: 0...256) ?? UInt32(min(4, processorCount()))
    let owner = try Ownership(arguments)
    let mode = try arguments.mode()
    let streamSize = try arguments.size("size")
    if streamSize != nil && (arguments.operands.count > 2 || arguments.has("recursive")) {
      throw UsageError("--size is of one source, without --recursive")
    }
    let striping = try StripingChoice(arguments)
    let mount = try VolumePath.mount(around: destination)
    // A client is refused here, before anything is said.
    let maker = try FileMaker(mount: mount, striping: striping.striping(on:))
    let options = CopyPlan.Options(
      isRecursive: arguments.has("recursive"), isExact: arguments.has("no-target-directory"),
      leavesLinksOut: arguments.has("no-dereference"), streamSize: streamSize)
    let plan = try CopyPlan(Array(arguments.operands.dropLast()), to: destination, options) {
      printError("\(command): \($0)")
    }
    // Each thread has a connection, devices and sources open.
    raiseFileLimit(to: 16384)
    let copy = Copy(
      plan.files,
      Copy.Settings(
        mount: mount, mode: mode, owner: owner, striping: striping, compares: arguments.has("compare"),
        isVerbose: arguments.has("verbose")))
    for directory in plan.directories { copy.make(directory, with: maker) }
    copy.run(threads: Int(threads), with: maker)
    return copy.hasFailed || copy.hasDifferences ? 1 : plan.status
  }
}

/// A copy under way.
private final class Copy: Sendable {
  struct Settings: Sendable {
    let mount: Mount
    /// Nil for the source's.
    let mode: UInt32?
    let owner: Ownership
    let striping: StripingChoice
    let compares: Bool
    let isVerbose: Bool
  }

  private let files: [CopyPlan.File]
  private let settings: Settings
  private let progress: Progress
  private let next = Mutex(0)
  private let failures = Atomic<Int>(0)
  private let differences = Atomic<UInt64>(0)
  /// What was said last of what failed.
  private let complaint = Mutex("")

  init(_ files: [CopyPlan.File], _ settings: Settings) {
    self.files = files
    self.settings = settings
    progress = Progress(total: files.reduce(0) { $0.addingReportingOverflow($1.size).overflow ? .max : $0 + $1.size })
  }

  var hasFailed: Bool { failures.load(ordering: .relaxed) > 0 }
  /// Whether a file that was compared had a page that differed; it is copied by now.
  var hasDifferences: Bool { differences.load(ordering: .relaxed) > 0 }

  private func fail(_ error: any Error) {
    failures.add(1, ordering: .relaxed)
    let sentence = "\(error)"
    // That the daemon is gone need not be said for each file.
    let isNew = complaint.withLock { last in
      defer { last = sentence }
      return last != sentence
    }
    if isNew { progress.printAbove("\(CpCommand.command): \(sentence)") }
  }

  func make(_ directory: CopyPlan.Directory, with maker: FileMaker) {
    do {
      _ = try DirectoryMaker.make(
        directory.target, withParents: true, mode: directory.permissions, owner: settings.owner, through: maker.client)
    } catch {
      fail(error)
    }
  }

  /// Copies everything; with 0 threads in the calling one.
  func run(threads: Int, with maker: FileMaker) {
    if files.isEmpty { return }
    let drawing = progress.start()
    let workers = (0..<min(threads, files.count)).compactMap { _ in
      try? Thread(named: "famfs-cp") { self.work(threads: threads) }
    }
    if workers.isEmpty { work(threads: 1, with: maker) }
    for worker in workers { worker.join() }
    progress.finish()
    drawing?.join()
  }

  // MARK: Threads

  private func work(threads: Int) {
    do {
      work(threads: threads, with: try FileMaker(mount: settings.mount, striping: settings.striping.striping(on:)))
    } catch {
      // Without a daemon or a device no other thread would come further.
      if !nextBatch(of: files.count, bytes: .max).isEmpty { fail(error) }
    }
  }

  private func work(threads: Int, with maker: FileMaker) {
    // Small files share their messages to the daemon; but each thread shall have some. All of a batch are open at once.
    let most = max(1, min(32, files.count / (4 * threads), 256 / threads))
    let opener = SourceOpener()
    while true {
      let batch = nextBatch(of: most, bytes: 1 << 20)
      if batch.isEmpty { return }
      copy(batch.compactMap { open($0, by: opener) }, with: maker)
    }
  }

  /// The next files that nobody copies yet: so many at most, and no more bytes than these unless it is one.
  private func nextBatch(of most: Int, bytes: UInt64) -> ArraySlice<CopyPlan.File> {
    next.withLock { next in
      let start = next
      var left = bytes
      while next < files.count && next - start < most && (next == start || files[next].size <= left) {
        left -= min(left, files[next].size)
        next += 1
      }
      return files[start..<next]
    }
  }

  /// A file whose source is open, unless it is a stream: to open that can take long, and may be for nothing.
  private struct Opened {
    let file: CopyPlan.File
    let plain: CopySource?

    func source() throws(FamfsError) -> CopySource {
      if let plain { return plain }
      guard case .stream(let path) = file.source else { preconditionFailure("a plain source is opened before") }
      return try CopySource(stream: path, size: file.size)
    }
  }

  /// Opens a source before its copy is made: the copy's mode and size are those of what is open.
  private func open(_ file: CopyPlan.File, by opener: SourceOpener) -> Opened? {
    do throws(FamfsError) {
      guard case .plain(let place) = file.source else { return Opened(file: file, plain: nil) }
      return Opened(file: file, plain: try CopySource(plain: place, by: opener))
    } catch {
      fail(error)
      return nil
    }
  }

  /// Copies some files: space for all, their contents, and all become visible.
  private func copy(_ batch: [Opened], with maker: FileMaker) {
    let owner = settings.owner
    let new = batch.map { opened in
      let permissions = opened.plain?.permissions ?? CopySource.streamPermissions
      let name = NewName(
        path: opened.file.target.path, permissions: settings.mode ?? permissions, userID: owner.userID,
        groupID: owner.groupID)
      return FileMaker.NewFile(name: name, size: opened.plain?.size ?? opened.file.size)
    }
    let outcomes = maker.makeEach(new) { place, space in
      let source = try batch[place].source()
      try maker.fill(space) { device, range, fileOffset in
        try source.copy(fileOffset, to: device, range, check: maker.checkMaster, progress: progress.add)
      }
      try source.finish()
    }
    for (opened, outcome) in zip(batch, outcomes) {
      do {
        switch outcome {
        case .made: break
        case .refused(let error): try copyAgain(opened, with: maker, or: error)
        case .failed(let error): throw error
        }
        tell(opened.file)
      } catch {
        fail(error)
      }
    }
  }

  private func tell(_ file: CopyPlan.File) {
    if settings.isVerbose { progress.printAbove("famfs cp: 100%: \(file.target.absolute)", isResult: true) }
  }

  /// Copies to a file that exists.
  /// - Parameter refusal: why it could not be made; holds unless it is a file.
  private func copyAgain(_ opened: Opened, with maker: FileMaker, or refusal: FamfsError) throws {
    let path = opened.file.target
    let size = opened.plain?.size ?? opened.file.size
    guard !path.isReserved, let there = try? FileStatus(path: path.absolute), there.kind == .regular else {
      throw refusal
    }
    if there.size != size { throw FileMaker.otherSize(path, there.size, wanted: size) }
    let source = try opened.source()
    var (pages, different): (UInt64, UInt64) = (0, 0)
    try maker.refill(path, size: size) { device, range, fileOffset in
      if settings.compares {
        let found = try source.copyDifferences(
          fileOffset, to: device, range, check: maker.checkMaster, progress: progress.add)
        pages += found.pages
        different += found.different
      } else {
        try source.copy(fileOffset, to: device, range, check: maker.checkMaster, progress: progress.add)
      }
    }
    try source.finish()
    differences.add(different, ordering: .relaxed)
    if different > 0 || settings.compares && settings.isVerbose {
      let what = different == 0 ? "\(pages) pages are the same" : "\(different) of \(pages) pages differed"
      progress.printAbove("famfs cp: \(path.absolute): \(what)", isResult: true)
    }
  }
}
