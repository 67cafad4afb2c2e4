import Ext4TestSupport
import Glibc
import Platform
import Testing

/// The command mkfs.kfs, judged by e2fsck and dumpe2fs.
@Suite("mkfs.kfs", .enabled(if: Ext4TestSupport.Machine.hasE2fsprogs))
struct MkfsKfsTests {
  private let folder: TestFolder
  private var image: String { folder.at("image") }

  init() throws { folder = try TestFolder() }

  private func expectClean(_ path: String) throws {
    let check = try runTool(["e2fsck", "-fn", path])
    #expect(check.status == 0, "\(check.text)\(check.complaints)")
  }

  private func expectRefused(_ words: [String], _ sentence: String) throws {
    let outcome = try run(["mkfs.kfs"] + words)
    #expect(outcome.status == 1 && outcome.stdout.isEmpty, "\(outcome)")
    #expect(outcome.stderr.contains(sentence), "\(outcome.stderr)")
  }

  private func bytes(_ path: String) throws -> [UInt8] {
    try FileDescriptor(opening: path, .readOnly).contents(at: 0, count: 4 << 20)
  }

  @Test("--size makes a new image of mode 0600; one that exists is taken by -F only, and never made smaller")
  func sizes() throws {
    let outcome = try run(["mkfs.kfs", "--size", "64m", image])
    #expect(outcome.status == 0 && outcome.stdout.contains("65536 blocks of 1024 bytes and 16384 inodes"), "\(outcome)")
    var status = try mountedItem(image, hashing: false)
    #expect(status.mode == 0o100600 && status.size == 64 << 20)
    try expectClean(image)
    try expectRefused(
      ["--size", "32m", image], "exists already; leave --size out to use it as it is, or take it with -F")
    #expect(try run(["mkfs.kfs", "-q", "-F", "--size", "32m", image]).status == 0)
    #expect(try mountedItem(image, hashing: false).size == 64 << 20)
    #expect(try must(["dumpe2fs", "-h", image]).contains("Block count:              32768"))
    try expectClean(image)
    #expect(try run(["mkfs.kfs", "-q", "-F", "--size", "80m", image]).status == 0)
    status = try mountedItem(image, hashing: false)
    #expect(status.size == 80 << 20)
    try expectClean(image)
  }

  @Test("of a TiB little is written")
  func huge() throws {
    let outcome = try run(["mkfs.kfs", "-q", "--size", "1t", image])
    #expect(outcome.status == 0 && outcome.stdout.isEmpty && outcome.stderr.isEmpty, "\(outcome)")
    #expect(try mountedItem(image, hashing: false).blocks < 40 << 11)
    try expectClean(image)
  }

  @Test(
    "options mean what they mean to mke2fs",
    arguments: [
      "", "-b 2048 -I 512 -N 3000", "-i 65536 -m 1 -J size=16", "-L label -O ^has_journal,^64bit",
      "-b 1024 -O ^flex_bg",
    ])
  func options(_ words: String) throws {
    let seed = "12345678-1234-4321-8765-0123456789ab"
    let options = words.split(separator: " ").map(String.init) + ["-U", seed, "-E", "hash_seed=\(seed)"]
    #expect(try run(["mkfs.kfs", "--size", "600m"] + options + [image]).status == 0)
    let other = folder.at("other")
    try must(["mke2fs", "-q", "-t", "ext4"] + options + [other, "600m"])
    let lines = try [image, other].map { path in
      // The time is in the superblock and in the inodes, and so are their checksums.
      try must(["dumpe2fs", path]).split(separator: "\n").filter { line in
        !["Filesystem created:", "Last write time:", "Last checked:", "Lifetime writes:", "Checksum:"].contains {
          line.hasPrefix($0)
        }
      }
    }
    // Of a file that it makes itself, mke2fs does not know that it is zeros.
    #expect(lines[0].map { $0.split(separator: "csum")[0] } == lines[1].map { $0.split(separator: "csum")[0] })
  }

  @Test("what holds something is refused without -F, and is as it was")
  func foreign() throws {
    try must(["mke2fs", "-q", "-t", "ext2", image, "8M"])
    let before = try bytes(image)
    try expectRefused([image], "holds ext2; to destroy it use -F")
    #expect(try bytes(image) == before)
    #expect(try run(["mkfs.kfs", "-F", image]).status == 0)
    try expectClean(image)
    #expect(try must(["blkid", "-p", "-o", "value", "-s", "TYPE", image]) == "ext4\n")
  }

  @Test("signatures of other file systems are gone")
  func signatures() throws {
    try must(["truncate", "-s", "64M", image])
    try must(["mkswap", "-q", image])
    #expect(try run(["mkfs.kfs", "-F", "-E", "nodiscard", image]).status == 0)
    #expect(try must(["blkid", "-p", "-o", "value", "-s", "TYPE", image]) == "ext4\n")
    try expectClean(image)
  }

  @Test("-n says what would be made, and makes nothing")
  func dryRun() throws {
    let outcome = try run(["mkfs.kfs", "-n", "--size", "600m", image])
    #expect(
      outcome.status == 0 && outcome.stdout.contains("153600 blocks of 4096 bytes and 38400 inodes"), "\(outcome)")
    #expect(failure { access(image, F_OK) } == .noEntry)
    try must(["mke2fs", "-q", "-t", "ext2", image, "8M"])
    let before = try bytes(image)
    #expect(try run(["mkfs.kfs", "-n", image]).status == 0)
    #expect(try bytes(image) == before)
  }

  @Test(
    "what cannot be is refused in a sentence, and no file is left",
    arguments: [
      ([], "name one image or device"), (["--size", "16k", "@"], "too small"),
      (["@"], "make an image file there with --size"),
      (["--size", "1m", "-b", "8k", "@"], "give 1024, 2048 or 4096"),
      (["--size", "8m", "-m", "51", "@"], "from 0 to 50"),
      (["--size", "8m", "-L", "seventeen-letters", "@"], "more than 16 bytes"),
      (["--size", "8m", "-O", "^extents", "@"], "cannot be switched off"),
      (["--size", "8m", "-O", "bigalloc", "@"], "cannot be made"), (["--size", "8m", "-U", "x", "@"], "is not a UUID"),
      (["--size", "8m", "-E", "stride=4", "@"], "possible are lazy_itable_init"),
      (["--size", "8m", "-J", "size=900", "@"], "more than half"),
      (["--size", "8m", "-i", "12", "@"], "1024 to 67108864"),
      (["--size", "8m", "-J", "device=/dev/sda", "@"], "give size=MIB"),
    ])
  func refusals(_ words: [String], _ sentence: String) throws {
    try expectRefused(words.map { $0 == "@" ? image : $0 }, sentence)
    #expect(failure { access(image, F_OK) } == .noEntry)
  }

  @Test(
    "an image that the kernel or kfs has mounted is refused, -F or not",
    .enabled(if: Machine.canMount && Ext4TestSupport.Machine.canLoop))
  func mounted() throws {
    #expect(try run(["mkfs.kfs", "-q", "--size", "8m", image]).status == 0)
    let place = folder.directory("mount")
    try must(["mount", "-o", "loop", image, place])
    let loop = try must(["findmnt", "-n", "-o", "SOURCE", place]).split(separator: "\n")[0]
    for device in [image, String(loop)] {
      try expectRefused(["-F", device], device == image ? "is the image behind" : "is in use by another process")
    }
    try expectRefused(["-F", "--size", "16m", image], "is the image behind")
    #expect(try mountedItem(image, hashing: false).size == 8 << 20)
    try must(["umount", place])
    #expect(try run(["kfs", "-o", "ro", image, place]).status == 0)
    try expectRefused(["-F", image], "is in use by another process")
    try must(["umount", place])
    try expectClean(image)
  }

  @Test("a device is made a file system of, and the kernel writes it", .enabled(if: Ext4TestSupport.Machine.canLoop))
  func blockDevice() throws {
    try must(["truncate", "-s", "64M", image])
    let device = try must(["losetup", "-f", "--show", image]).split(separator: "\n").map(String.init)[0]
    defer { _ = try? runTool(["losetup", "-d", device]) }
    try must(["sh", "-c", "tr '\\0' '\\245' < /dev/zero | head -c 67108864 > \(device)"])
    let outcome = try run(["mkfs.kfs", device])
    #expect(outcome.status == 0, "\(outcome)")
    try expectClean(device)
    let place = folder.directory("mount")
    try must(["mount", device, place])
    try must(["cp", "-r", "/etc/ssl", place])
    try must(["umount", place])
    try expectClean(device)
  }
}
