import CFuse
import Platform

/// What stands behind the body of a request that makes a node, where `InitFlags.securityContext` or `createGroup` was
/// agreed on. The request's header says how many bytes it has.
struct RequestExtensions: Equatable {
  /// An extended attribute that a security module wants the new node to have: `struct fuse_secctx`.
  struct Context: Equatable {
    /// The whole name: "security.selinux".
    let name: Range<Int>
    let value: Range<Int>
  }

  /// Where the security labels stand; at most 31.
  private(set) var contexts: [Context] = []
  /// Groups that the process is in, apart from the header's: `struct fuse_supp_groups`. Linux sends the directory's alone.
  private(set) var groups: [UInt32] = []

  /// Kinds of extensions that a newer kernel may have are passed over.
  /// - Parameter bytes: all extensions, and nothing else.
  /// - Throws: EPROTO for what does not fit into its place and for two of one kind, ERANGE for a name that no attribute
  ///   can have.
  init(parsing bytes: RawSpan) throws(Errno) {
    var start = 0
    var (hasContexts, hasGroups) = (false, false)
    while start < bytes.byteCount {
      let header = try bytes.load(fuse_ext_header.self, at: start)
      let size = Int(header.size)
      guard size >= fuse_ext_header.byteCount, size.isMultiple(of: 8), size <= bytes.byteCount - start else {
        throw .protocolError
      }
      let part = (start + fuse_ext_header.byteCount)..<(start + size)
      if header.type <= FUSE_MAX_NR_SECCTX.rawValue {
        guard !hasContexts else { throw .protocolError }
        hasContexts = true
        try readContexts(Int(header.type), in: part, of: bytes)
      } else if header.type == FUSE_EXT_GROUPS.rawValue {
        guard !hasGroups else { throw .protocolError }
        hasGroups = true
        try readGroups(in: part, of: bytes)
      }
      start += size
    }
  }

  /// Each label is its lengths, its name and its value, and the next one begins at a multiple of 8.
  private mutating func readContexts(_ count: Int, in part: Range<Int>, of bytes: RawSpan) throws(Errno) {
    let bytes = bytes.extracting(first: part.upperBound)
    var place = part.lowerBound
    for _ in 0..<count {
      let size = Int(try bytes.load(fuse_secctx.self, at: place).size)
      let name = try bytes.xattrName(from: place + fuse_secctx.byteCount, isLast: false)
      let start = name.upperBound + 1
      guard size <= Int(WEFT_XATTR_SIZE_MAX), size <= part.upperBound - start else { throw .protocolError }
      contexts.append(Context(name: name, value: start..<(start + size)))
      place = (start + size + 7) & ~7
    }
  }

  private mutating func readGroups(in part: Range<Int>, of bytes: RawSpan) throws(Errno) {
    let bytes = bytes.extracting(first: part.upperBound)
    let count = Int(try bytes.load(weft_fuse_supp_groups.self, at: part.lowerBound).nr_groups)
    let start = part.lowerBound + weft_fuse_supp_groups.byteCount
    let size = MemoryLayout<UInt32>.size
    guard count <= Int(WEFT_NGROUPS_MAX), count * size <= part.upperBound - start else { throw .protocolError }
    groups = (0..<count).map { bytes.u32(start + $0 * size) }
  }
}
