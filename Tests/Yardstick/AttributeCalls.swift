import CYardstick
import Glibc

/// Extended attributes, and what statfs(2) says.
extension Trial {
  func setxattr(_ name: Name, _ attribute: Name, _ value: [UInt8], flags: Int = 0, follow: Bool = true) -> Answer {
    value.withUnsafeBytes {
      call(
        "setxattr", follow ? SYS_setxattr : SYS_lsetxattr, name.address, attribute.address, $0.address, $0.count, flags,
        names: [name, attribute])
    }
  }

  /// The value, and the call's answer; size 0 asks for the length only.
  func getxattr(
    _ name: Name, _ attribute: Name, size: Int = 65_536, follow: Bool = true
  ) -> (answer: Answer, value: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: max(size, 1))
    let answer = buffer.withUnsafeMutableBytes {
      call(
        "getxattr", follow ? SYS_getxattr : SYS_lgetxattr, name.address, attribute.address, $0.address, size,
        names: [name, attribute])
    }
    return (answer, size == 0 ? [] : Array(buffer.prefix(max(0, answer.value))))
  }

  /// The names of a file's extended attributes, sorted, and the call's answer.
  func listxattr(_ name: Name, size: Int = 65_536, follow: Bool = true) -> (answer: Answer, names: [Name]) {
    var buffer = [UInt8](repeating: 0, count: max(size, 1))
    let answer = buffer.withUnsafeMutableBytes {
      call(
        "listxattr", follow ? SYS_listxattr : SYS_llistxattr, name.address, $0.address, size, names: [name])
    }
    let all = size == 0 ? [] : buffer.prefix(max(0, answer.value))
    return (answer, all.split(separator: 0).map { Name(Array($0)) }.sorted())
  }

  func removexattr(_ name: Name, _ attribute: Name, follow: Bool = true) -> Answer {
    call(
      "removexattr", follow ? SYS_removexattr : SYS_lremovexattr, name.address, attribute.address,
      names: [name, attribute])
  }

  func statingFileSystem(_ name: Name) -> Answer {
    var about = yard_statfs()
    return Answer(trial: self, call: "statfs", names: [name], value: yard_statfs(name.pointer, &about))
  }

  func statFileSystem(_ name: Name) throws -> yard_statfs {
    var about = yard_statfs()
    try Answer(trial: self, call: "statfs", names: [name], value: yard_statfs(name.pointer, &about)).ok()
    return about
  }
}

extension File {
  func setxattr(_ attribute: Name, _ value: [UInt8], flags: Int = 0) -> Answer {
    value.withUnsafeBytes {
      trial.call(
        "fsetxattr", SYS_fsetxattr, Int(number), attribute.address, $0.address, $0.count, flags, names: [attribute])
    }
  }

  func getxattr(_ attribute: Name) -> (answer: Answer, value: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let answer = buffer.withUnsafeMutableBytes {
      trial.call("fgetxattr", SYS_fgetxattr, Int(number), attribute.address, $0.address, $0.count, names: [attribute])
    }
    return (answer, Array(buffer.prefix(max(0, answer.value))))
  }
}
