import ControlChannel
import Glibc
import Platform
import Testing

@testable import FamfsControl

/// What is said of a daemon that does not answer.
@Suite struct NoDaemonTests {
  @Test("what ends the process is advised if a signal has stopped it, and not if it is busy or unknown")
  func silence() throws {
    let child = try Spawn.start("sleep", ["sleep", "1000"])
    defer {
      kill(child, SIGKILL)
      _ = try? Spawn.wait(for: child)
    }
    for words in [NoDaemon.silence(of: child), NoDaemon.silence(of: nil)] {
      #expect(words.contains("try again") && !words.contains("kill"), "\(words)")
    }
    kill(child, SIGSTOP)
    var status: Int32 = 0
    try retrying { waitpid(child, &status, WUNTRACED) }
    #expect(NoDaemon.silence(of: child).contains("kill -CONT \(child), else end it with kill -KILL \(child)"))
  }

  @Test("of a daemon of another version the user learns what to do")
  func otherVersion() {
    guard case .ofAnotherVersion = NoDaemon(ControlVersion.mismatch, nil) else {
      Issue.record("the mismatch is told as something else")
      return
    }
    #expect(NoDaemon.ofAnotherVersion.reason.contains("unmount it and mount it again"))
  }
}
