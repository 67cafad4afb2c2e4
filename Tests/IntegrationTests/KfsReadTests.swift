import Ext4TestSupport
import Glibc
import Platform
import Testing

/// Images that are mounted by kfs and by the kernel at the same time, both for reading.
@Suite("kfs, reading", .enabled(if: Machine.canMount && Ext4TestSupport.Machine.canLoop))
struct KfsReadTests {
  private let folder: TestFolder

  init() throws { folder = try TestFolder() }

  private func makeImage(_ options: [String]) throws -> String {
    let (image, place) = (folder.at("image"), folder.directory("kernel"))
    try must(["mke2fs", "-q", "-F"] + options + [image, "200M"])
    try must(["mount", "-o", "loop", image, place])
    var population = Population(root: place)
    population.manyNames = 3000
    try population.make()
    try must(["umount", place])
    return image
  }

  /// Unmounts, and waits until the daemon has let go of the image.
  private func unmount(_ place: String, _ image: String) throws {
    try must(["umount", place])
    let isFree = { (try? must(["flock", "--exclusive", "--nonblock", image, "true"])) != nil }
    #expect(seconds(until: isFree) != nil)
  }

  @Test(
    "a mount shows what the kernel's mount shows",
    arguments: [["-t", "ext4"], ["-t", "ext4", "-b", "1024"], ["-t", "ext4", "-O", "inline_data"]])
  func sameAsTheKernel(_ options: [String]) throws {
    let image = try makeImage(options)
    let (kernel, ours) = (folder.at("kernel"), folder.directory("kfs"))
    try must(["mount", "-o", "loop,ro", image, kernel])
    let outcome = try run(["kfs", "-o", "ro", image, ours])
    #expect(outcome.status == 0 && outcome.stdout.contains("mounted read-only"), "\(outcome)")
    expectEqual(try mountedTree(ours), try mountedTree(kernel))
    #expect(try names(in: ours + "/many").count == names(in: kernel + "/many").count)
    var (one, other) = (statvfs(), statvfs())
    try retrying { statvfs(ours, &one) }
    try retrying { statvfs(kernel, &other) }
    #expect([one.f_blocks, one.f_bfree, one.f_bavail] == [other.f_blocks, other.f_bfree, other.f_bavail])
    #expect([one.f_files, one.f_ffree, one.f_namemax] == [other.f_files, other.f_ffree, other.f_namemax])
    #expect(
      try must(["lsattr", ours]).split(separator: "\n").count == must(["lsattr", kernel]).split(separator: "\n").count)
    #expect(failure { open(ours + "/new", O_CREAT | O_WRONLY, 0o644) } == .readOnlyFileSystem)
    #expect(failure { unlink(ours + "/files/1") } == .readOnlyFileSystem)
    #expect(failure { open(ours + "/absent", O_RDONLY) } == .noEntry)
    try unmount(ours, image)
  }

  @Test("what is mapped, and what is read in odd pieces, are the file's bytes")
  func contents() throws {
    let image = try makeImage(["-t", "ext4", "-b", "1024"])
    let (kernel, ours) = (folder.at("kernel"), folder.directory("kfs"))
    try must(["mount", "-o", "loop,ro", image, kernel])
    try must(["\(Machine.program("kfs"))", "-o", "ro", image, ours])
    for name in ["files/large", "files/4097", "sparse/hole"] {
      let expected = try Reading.read.contents(of: kernel + "/" + name)
      for way in Reading.allCases {
        #expect(areSame(try way.contents(of: ours + "/" + name), expected), "\(name) \(way)")
      }
    }
    try unmount(ours, image)
  }

  /// An image as a power cut leaves it: copied while the kernel has it mounted, behind an fsync(2).
  private func makeCrashedImage() throws -> String {
    let (image, place, copy) = (folder.at("image"), folder.directory("kernel"), folder.at("crashed"))
    try must(["mke2fs", "-q", "-F", "-t", "ext4", image, "32M"])
    try must(["mount", "-o", "loop", image, place])
    try must(["cp", "-r", "/usr/share/doc/e2fsprogs", place + "/saved"])
    try must(["sync", place + "/saved", place])
    try must(["cp", "--sparse=always", image, copy])
    try must(["umount", place])
    return copy
  }

  @Test("an image that was not unmounted has its journal replayed, and is then clean for e2fsck")
  func recovery() throws {
    let (image, ours) = (try makeCrashedImage(), folder.directory("kfs"))
    #expect(try must(["dumpe2fs", "-h", image]).contains("needs_recovery"))
    let outcome = try run(["kfs", "-o", "ro", image, ours])
    #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
    #expect(try names(in: ours + "/saved").sorted() == names(in: "/usr/share/doc/e2fsprogs").sorted())
    try unmount(ours, image)
    #expect(try !must(["dumpe2fs", "-h", image]).contains("needs_recovery"))
    // An unmount would have written the counts of free blocks and inodes.
    #expect(try runTool(["e2fsck", "-fy", image]).status <= 1)
    #expect(try runTool(["e2fsck", "-fn", image]).status == 0)
  }

  @Test("norecovery leaves the journal alone; an image that cannot be written is refused without it")
  func noRecovery() throws {
    let (image, ours) = (try makeCrashedImage(), folder.directory("kfs"))
    let outcome = try run(["kfs", "-o", "ro,norecovery", image, ours])
    #expect(outcome.status == 0 && outcome.stderr.contains("warning: its journal was not replayed"), "\(outcome)")
    try unmount(ours, image)
    #expect(try must(["dumpe2fs", "-h", image]).contains("needs_recovery"))
    let bound = folder.at("bound")
    try must(["touch", bound])
    try must(["mount", "--bind", image, bound])
    try must(["mount", "-o", "remount,bind,ro", bound])
    let refused = try run(["kfs", "-o", "ro", bound, ours])
    #expect(refused.status == 1 && refused.stderr.contains("its journal must be replayed first"), "\(refused)")
    try must(["umount", bound])
  }

  @Test("what cannot be mounted is refused in a sentence, and nothing is mounted")
  func refusals() throws {
    let (image, ours) = (folder.at("image"), folder.directory("kfs"))
    try must(["mke2fs", "-q", "-F", "-t", "ext4", image, "8M"])
    for (words, sentence) in [
      ([image, ours], "mounts are read-only until kfs can write; give -o ro"),
      (["-o", "ro", image], "name an image or a device, and a directory"),
      (["-o", "ro", image, ours + "/absent"], "make it with mkdir"),
      (["-o", "ro", ours, ours], "is neither an image file"),
      (["-o", "ro", "/dev/null", ours], "is neither an image file"),
      (["-o", "ro,offset=4k", image, ours], "holds no ext2, ext3 or ext4"),
      (["-o", "ro,offset=1g", image, ours], "ends before byte 1073741824"),
      (["-o", "ro,nonsense", image, ours], "unknown mount option 'nonsense'"),
      (["-o", "ro,cache_size=many", image, ours], "is not a size"),
    ] {
      let outcome = try run(["kfs"] + words)
      #expect(outcome.status == 1 && outcome.stderr.contains(sentence), "\(words): \(outcome)")
    }
    #expect(try names(in: ours) == [])
  }

  @Test("damage is an error of the file concerned, is told, and leaves the others to be read")
  func damage() throws {
    let (image, ours) = (try makeImage(["-t", "ext4"]), folder.directory("kfs"))
    let number = try must(["debugfs", "-R", "stat /files/large", image]).split(separator: " ")[1]
    try must(["debugfs", "-w", "-R", "set_inode_field <\(number)> checksum 0x1234", image])
    let daemon = try Child(["kfs", "-f", "-o", "ro", image, ours])
    #expect(seconds(until: { (try? names(in: ours).contains("files")) == true }) != nil)
    var status = stat()
    #expect(failure { stat(ours + "/files/large", &status) } == .badMessage)
    #expect(failure { stat(ours + "/files/4097", &status) } == nil)
    #expect(try names(in: ours + "/files").contains("large"))
    try unmount(ours, image)
    let said = try daemon.wait().stderr
    #expect(said.contains("inode \(number) has a wrong checksum"), "\(said)")
    #expect(said.split(separator: "\n").count { $0.contains("checksum") } == 1)
  }
}
