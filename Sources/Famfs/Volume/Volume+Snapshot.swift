/// What a volume has, for who writes it down in another form.
extension Volume {
  /// One of the volume's directories or files.
  public struct ListedNode: ~Copyable {
    /// Its number.
    public let number: NodeNumber
    /// Its attributes, as this mount has them, and the directory that it is in.
    public let node: Node
    /// Its name; empty for the root. Lent.
    public let name: UnsafeRawBufferPointer
    /// Where its contents lie.
    public let layout: FileLayout
  }

  /// Hands the root and each directory and file that a log entry made to `body`, a directory before what is in it. The
  /// replayed log is locked for some hundred of them at a time.
  /// - Returns: how many entries the log had: what they made is among what was handed over.
  /// - Throws: what `body` threw.
  public func forEachNode<Failure: Error>(
    _ body: (borrowing ListedNode) throws(Failure) -> Void
  ) throws(Failure) -> UInt64 {
    let entries = replayed.withLock { $0.namespace.entryCount }
    try hand(.root ... .root, to: body)
    var next = NodeNumber.firstEntry
    let end = NodeNumber.firstEntry + entries
    while next < end {
      let last = min(next + 500, end) - 1
      try hand(NodeNumber(UInt32(next))...NodeNumber(UInt32(last)), to: body)
      next = last + 1
    }
    return entries
  }

  private func hand<Failure: Error>(
    _ range: ClosedRange<NodeNumber>, to body: (borrowing ListedNode) throws(Failure) -> Void
  ) throws(Failure) {
    try replayed.withLock { (replayed) throws(Failure) in
      for value in range.lowerBound.rawValue...range.upperBound.rawValue {
        let number = NodeNumber(value)
        guard let node = replayed.namespace[number] else { continue }
        let layout = replayed.namespace.layout(of: node)
        try replayed.namespace.withName(of: number) { (name) throws(Failure) in
          try body(ListedNode(number: number, node: node, name: name, layout: layout))
        }
      }
    }
  }
}
