/// Which space of a volume is used, and by what: for pictures of it.
extension Volume {
  /// Runs of bytes of a device that nobody uses, in order.
  /// - Parameters:
  ///   - start: leaves out what lies before this byte.
  ///   - most: how many; what is behind them can be asked for with another start.
  /// - Returns: nothing for a device that there is not.
  public func freeRuns(ofDevice device: UInt64, from start: UInt64 = 0, atMost most: Int = .max) -> [Range<UInt64>] {
    replayed.withLock { replayed in
      guard device < replayed.space.devices.count else { return [] }
      let map = replayed.space.devices[Int(device)]
      var runs: [Range<UInt64>] = []
      var unit = start / map.unit + (start % map.unit > 0 ? 1 : 0)
      while runs.count < most, unit < map.unitCount, let run = map.freeRun(from: unit) {
        runs.append(run.lowerBound * map.unit..<run.upperBound * map.unit)
        unit = run.upperBound
      }
      return runs
    }
  }

  /// Hands each file and its extents to `body`, in the order of the log; the replayed log is locked meanwhile.
  /// - Parameter body: is told whether the file is a clone, whose extents are an earlier file's.
  public func forEachFile(_ body: (NodeNumber, Node, ArraySlice<Extent>, _ isClone: Bool) -> Void) {
    replayed.withLock { replayed in
      let clones = Set(replayed.clones.map(\.clone))
      for number in NodeNumber.firstEntry..<max(NodeNumber.firstEntry, UInt64(replayed.namespace.nodes.count)) {
        let number = NodeNumber(UInt32(number))
        guard let node = replayed.namespace[number], node.kind == .file else { continue }
        body(number, node, replayed.namespace.extents(of: node), clones.contains(number))
      }
    }
  }
}
