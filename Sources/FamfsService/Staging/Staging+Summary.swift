import FamfsControl

extension Staging {
  /// How much is staged now.
  var summary: StagedSummary {
    if isIdle { return StagedSummary() }
    return withTree { tree in
      tree.nodes.values.reduce(into: StagedSummary()) { sum, node in
        if node.link == nil { return }
        if node.isDirectory {
          sum.directories += 1
        } else {
          sum.files += 1
          sum.bytes &+= node.shape.size
        }
      }
    }
  }
}
