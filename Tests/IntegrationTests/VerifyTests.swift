import Foundation
import Platform
import Testing

/// famfs verify.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct VerifyTests {
  @Test("the first wrong byte is named, wherever it is", arguments: [0, 3, 4096, 1 << 20, (1 << 20) + 1, 2_500_000])
  func firstDifference(offset: Int) throws {
    try withVolume { volume in
      let path = volume.master + "/file"
      try succeed(volume.famfs("creat", "-s", "2500001", "-r", "-S", "9", path))
      let file = try FileDescriptor(opening: path, .readWrite)
      for place in Set([offset, 2_500_000]) { try file.put(file.bytes(at: place, count: 1).map { ~$0 }, at: place) }
      for words in [["-S", "9", "-f", path], ["-m", path + ",9"], ["-q", "-t", "2", "-m", path + ",9"]] {
        expectRefusal(try run(["famfs", "verify"] + words), naming: [path, "offset \(offset)"])
      }
    }
  }

  @Test("files that fail do not stop the others, and what cannot be verified is refused")
  func refusals() throws {
    try withVolume { volume in
      let (good, bad) = (volume.master + "/good", volume.master + "/bad")
      try succeed(volume.famfs("creat", "-M", good + ",1000,5", "-M", bad + ",1000,6"))
      let outcome = try volume.famfs("verify", "-m", bad + ",5", "-m", good + ",5", "-m", good + "x,5")
      #expect(outcome.status == 1 && outcome.stdout == "Success: verified 1000 bytes in file \(good)\n")
      #expect(outcome.complaints.count == 2)
      for (words, wanted) in [
        (["-S", "5", "-f", volume.master + "/none"], "none"), (["-S", "5", "-f", volume.master], volume.master),
        (["-S", "0", "-f", good], "seed 0"), (["-m", good + ",0"], "seed 0"), (["-S", "6", "-f", good], "offset 0"),
        (["-f", good], "--seed"), (["-S", "5"], "--filename"), ([], "--seed"), (["-S", "5", good], "--filename"),
        (["-m", good], "FILE,SEED"), (["-m", good + ",x"], "'x'"), (["-m", good + ",5", "-S", "5"], "--multi"),
        (["-m", good + ",5", "-f", good], "--multi"), (["-m", good + ",5", "-t", "0"], "--threads"),
      ] {
        expectRefusal(try run(["famfs", "verify"] + words), naming: [wanted])
      }
      let fifo = volume.room.at("fifo,1")
      try retrying { mkfifo(fifo, 0o644) }
      expectRefusal(try volume.famfs("verify", "-m", fifo + ",5"), naming: ["fifo,1"])
    }
  }
}
