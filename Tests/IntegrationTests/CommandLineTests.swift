import Testing

/// What the commands say without touching anything.
@Suite(.timeLimit(.minutes(15)))
struct CommandLineTests {
  static let commands = [
    ["mkfs.famfs"], ["famfs_fused"], ["mount.famfs"], ["pcq"],
    ["famfs", "mount"], ["famfs", "umount"], ["famfs", "mkdir"], ["famfs", "cp"],
    ["famfs", "creat"], ["famfs", "logplay"], ["famfs", "fsck"], ["famfs", "check"], ["famfs", "getmap"],
    ["famfs", "chkread"], ["famfs", "mkmeta"], ["famfs", "verify"], ["famfs", "flush"], ["famfs", "clone"],
    ["famfs", "status"], ["famfs", "device"],
  ]

  @Test("every command has a --help", arguments: commands)
  func help(command: [String]) throws {
    for option in ["--help", "-?"] + (command.last == "fsck" ? [] : ["-h"]) {
      let outcome = try run(command + [option])
      #expect(outcome.status == 0)
      #expect(outcome.stdout.hasPrefix("Usage: \(command.joined(separator: " ")) "), "\(outcome)")
      #expect(outcome.stdout.contains("--help"))
      #expect(outcome.stderr == "")
    }
  }

  @Test("the help of famfs names every command")
  func overview() throws {
    for option in ["--help", "-h", "-?"] {
      let outcome = try run(["famfs", option])
      #expect(outcome.status == 0)
      for command in Self.commands where command.count == 2 { #expect(outcome.stdout.contains("  \(command[1]) ")) }
    }
    let none = try run(["famfs"])
    #expect(none.status == 1)
    #expect(none.stdout == "")
    #expect(none.stderr.hasPrefix("Usage: famfs "))
  }

  @Test("every program has a --version", arguments: ["famfs", "famfs_fused", "weft"])
  func version(program: String) throws {
    let outcome = try run([program, "--version"])
    #expect(outcome.status == 0)
    #expect(outcome.stdout.hasPrefix("\(program) "), "\(outcome)")
    #expect(outcome.stdout.split(separator: "\n").count == 1)
    #expect(outcome.stderr == "")
  }

  @Test("a command that does not exist gives status 3")
  func unknownCommand() throws {
    expectRefusal(try run(["famfs", "frobnicate"]), naming: ["frobnicate", "famfs --help"], status: 3)
    expectRefusal(try run(["weft", "frobnicate"]), naming: ["frobnicate", "weft --help"], status: 3)
  }

  @Test("unknown options and missing operands give status 1 and point to the help", arguments: commands)
  func badWords(command: [String]) throws {
    let name = command.joined(separator: " ")
    // Without operands status shows all mounts there are.
    if command.last != "status" { expectRefusal(try run(command), naming: [name + ": ", "see \(name) --help"]) }
    for option in ["--frobnicate", "-Z"] {
      expectRefusal(try run(command + [option, "x", "y"]), naming: [option, "see \(name) --help"])
    }
    let tooMany = command + ["/none/a", "/none/b", "/none/c"]
    if !["cp", "mkdir", "flush", "mkfs.famfs"].contains(command.last) {
      expectRefusal(try run(tooMany), naming: ["see \(name) --help"])
    }
  }

  @Test("options with missing or contradicting arguments are refused")
  func badOptions() throws {
    for (words, expected) in [
      (["famfs", "creat", "/none/a"], ["--size"]), (["famfs", "creat", "--size"], ["--size", "argument"]),
      (["famfs", "cp", "/none/a"], ["source"]), (["famfs", "fsck", "-m", "-r", "/none"], ["--mmap", "--read"]),
      (["famfs", "mount", "-m", "-r", "/none", "/none"], ["--mmap", "--read"]),
      (["famfs", "mount", "-F", "/none", "/none"], ["--nofuse"]),
      (["famfs", "logplay", "-m", "-r", "/none"], ["--mmap", "--read"]),
      (["famfs", "mount", "--cache", "sometimes", "/none", "/none"], ["sometimes", "never"]),
      (["famfs", "mount", "--timeout", "soon", "/none", "/none"], ["soon", "seconds"]),
    ] {
      expectRefusal(try run(words), naming: expected)
    }
  }

  @Test("every command refuses a mode that this famfs has not", arguments: commands)
  func modes(command: [String]) throws {
    for mode in ["v1", "fast"] {
      let outcome = try run(command + ["/none/a", "/none/b"], environment: ["FAMFS_MODE": mode])
      expectRefusal(outcome, naming: ["FAMFS_MODE=\(mode)", "set it to fuse"])
      #expect(try run(command + ["--help"], environment: ["FAMFS_MODE": mode]).status == 0)
    }
    for mode in ["fuse", ""] {
      #expect(!(try run(command + ["/none/a", "/none/b"], environment: ["FAMFS_MODE": mode])).stderr.contains("MODE"))
    }
  }

  @Test("one program acts by the name or by its first word")
  func names() throws {
    let words = [["mkfs.famfs", "--help"], ["weft", "mkfs.famfs", "--help"]]
    #expect(try run(words[0]).stdout == run(words[1]).stdout)
    #expect(try run(["famfs", "cp", "--help"]).stdout == run(["weft", "famfs", "cp", "--help"]).stdout)
  }
}
