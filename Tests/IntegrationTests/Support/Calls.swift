import Glibc

// Functions of the C library that its Swift module leaves out: xattr(7) and renameat2(2).

private func function<Signature>(_ name: String, as type: Signature.Type) -> Signature {
  unsafeBitCast(dlsym(nil, name), to: type)
}

func getxattr(_ path: String, _ name: String, _ value: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  typealias Call = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
  return function("getxattr", as: Call.self)(path, name, value, count)
}

func setxattr(_ path: String, _ name: String, _ value: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int32 {
  typealias Call =
    @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeRawPointer?, Int, Int32) -> Int32
  return function("setxattr", as: Call.self)(path, name, value, count, flags)
}

func removexattr(_ path: String, _ name: String) -> Int32 {
  typealias Call = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
  return function("removexattr", as: Call.self)(path, name)
}

func listxattr(_ path: String, _ list: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
  typealias Call = @convention(c) (UnsafePointer<CChar>, UnsafeMutablePointer<CChar>?, Int) -> Int
  return function("listxattr", as: Call.self)(path, list, count)
}

/// Exchanges two names.
func exchange(_ one: String, _ other: String) -> Int32 {
  typealias Call =
    @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
  return function("renameat2", as: Call.self)(AT_FDCWD, one, AT_FDCWD, other, 2)
}

func fallocate(_ file: Int32, _ mode: Int32, _ offset: Int, _ count: Int) -> Int32 {
  typealias Call = @convention(c) (Int32, Int32, Int, Int) -> Int32
  return function("fallocate", as: Call.self)(file, mode, offset, count)
}

/// For open(2): makes a file without a name in a directory.
let unnamedFile: Int32 = 0o20_200_000
