import Glibc

/// Whether the kernel is this version or a newer one.
package func isKernel(atLeast major: Int, _ minor: Int) -> Bool {
  var names = utsname()
  guard uname(&names) == 0 else { return false }
  let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
  return numbers.count == 2 && (numbers[0], numbers[1]) >= (major, minor)
}
