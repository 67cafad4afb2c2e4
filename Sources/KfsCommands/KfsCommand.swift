import CommandKit
import Platform

/// kfs
enum KfsCommand: Command {
  static let name = "kfs"
  static let command = "kfs"
  static let synopsis = "[options] IMAGE DIRECTORY"
  static let about = """
    Mount an ext2, ext3 or ext4 file system without the kernel's driver.

    The file system is in an image file, in a part of one, or on a block device. A daemon serves the mount until it is
    unmounted with umount, or with fusermount3 -u by a user other than root. As long as it is mounted, no other program
    can write the image.

    Mounts are read-only: kfs does not write yet, so -o ro must be given. Only the journal of an image that was not
    unmounted is replayed. Mount options are ro, norecovery (leave the journal alone, and read what is there), offset=BYTES (where the file system begins in the image),
    cache_size=SIZE (of metadata in memory), noexec and allow_other.
    """
  static let options = [
    Option("o", "options", "LIST", "mount options, with commas between"),
    Option("f", "foreground", nil, "stay in the foreground and tell what happens"),
  ]
  static let examples = ["kfs -o ro disk.img /mnt/k", "kfs -o ro,offset=1m disk.img /mnt/k"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 2 else { throw UsageError("name an image or a device, and a directory") }
    let lists = arguments.all("options")
    // What is wrong is told before anything is started.
    guard try KfsMountOptions(lists).isReadOnly else {
      throw UsageError("mounts are read-only until kfs can write; give -o ro")
    }
    let words =
      lists.flatMap { ["-o", $0] } + ["--", canonicalPath(arguments.operands[0]), canonicalPath(arguments.operands[1])]
    if arguments.has("foreground") {
      throw Spawn.replace(by: "/proc/self/exe", [KfsCommandTable.daemon] + words)
    }
    let answer = try startDaemon([KfsCommandTable.daemon] + words)
    guard let first = answer.first else {
      throw SentenceError("the daemon ended without a word; try kfs -f")
    }
    guard first == "mounted" else { throw SentenceError(answer.joined(separator: " ")) }
    for line in answer.dropFirst() {
      if line.hasPrefix("warning: ") { printError("kfs: \(line)") } else { printCourtesy("kfs: \(line)") }
    }
    return 0
  }
}

/// The commands of kfs, but for the daemon's.
package enum KfsCommandTable {
  /// Programs with a name of their own.
  package static let programs: [any Command.Type] = [KfsCommand.self, MkfsKfsCommand.self]
  /// The program that serves a mount: this one, by another name.
  package static let daemon = "kfs_fused"
}
