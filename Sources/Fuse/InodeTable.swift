import Synchronization

/// What the kernel knows: the nodes of a file system by number, with the lookups that it has made of each.
///
/// A node is made by the first `lookUp` of its key and lasts until all its lookups are forgotten. The key is what the file
/// system knows it by: an inode number, or device and inode of a host's file. Numbers are given once and never again, so
/// the generation of every node is 0. The table has shards with a lock each, and no method holds two.
public final class InodeTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Record {
    let key: Key
    var value: Value
    var lookups: UInt64
  }

  private struct Shard {
    var numbers: [Key: UInt64] = [:]
    var records: [UInt64: Record] = [:]
    var last: UInt64 = 0
  }

  /// A class, because an array of locks cannot be.
  private final class Locked: Sendable {
    let shard = Mutex(Shard())
  }

  /// A power of two: the last bits of a node's number are those of its shard.
  private static var shardCount: Int { 16 }

  private let shards: [Locked]
  private let rootKey: Key
  private let root: Value

  /// A table with a root, which needs no lookup and is never forgotten.
  public init(root: Value, key: Key) {
    shards = (0..<Self.shardCount).map { _ in Locked() }
    (rootKey, self.root) = (key, root)
  }

  /// Nodes that are known, without the root.
  public var count: Int { shards.reduce(0) { $0 + $1.shard.withLock { $0.records.count } } }

  /// Counts a lookup of the node of a key, and makes it if there is none.
  /// - Parameter make: makes the value of a new node. It is called with a lock held, so it does no I/O.
  /// - Returns: the node's number and value, which may be another one's than `make` would have made.
  public func lookUp(_ key: Key, _ make: () -> Value) -> (node: NodeID, value: Value) {
    if key == rootKey { return (.root, root) }
    let index = key.hashValue & (Self.shardCount - 1)
    return shards[index].shard.withLock { shard in
      if let number = shard.numbers[key], var record = shard.records[number] {
        // More than the kernel could count: it stays for good.
        record.lookups = record.lookups == .max ? .max : record.lookups + 1
        shard.records[number] = record
        return (NodeID(rawValue: number), record.value)
      }
      shard.last += 1
      // From 16 on: neither zero nor the root's number.
      let number = shard.last << 4 | UInt64(index)
      let value = make()
      shard.numbers[key] = number
      shard.records[number] = Record(key: key, value: value, lookups: 1)
      return (NodeID(rawValue: number), value)
    }
  }

  /// The value of a node; nil for a number that the kernel should not know.
  public subscript(node: NodeID) -> Value? {
    if node == .root { return root }
    return shard(of: node).shard.withLock { $0.records[node.rawValue]?.value }
  }

  /// Takes back lookups.
  /// - Returns: the values of nodes that the kernel does not know any more, to be let go of.
  public func forget(_ lookups: Span<LookupCount>) -> [Value] {
    var gone: [Value] = []
    for place in lookups.indices {
      let lookup = lookups[place]
      if lookup.node == .root { continue }
      let value = shard(of: lookup.node).shard.withLock { shard -> Value? in
        guard var record = shard.records[lookup.node.rawValue], record.lookups != .max else { return nil }
        guard record.lookups <= lookup.count else {
          record.lookups -= lookup.count
          shard.records[lookup.node.rawValue] = record
          return nil
        }
        shard.records[lookup.node.rawValue] = nil
        shard.numbers[record.key] = nil
        return record.value
      }
      if let value { gone.append(value) }
    }
    return gone
  }

  /// Forgets all but the root: the session is over.
  /// - Returns: the values.
  public func removeAll() -> [Value] {
    shards.flatMap { locked in
      locked.shard.withLock { shard in
        defer { (shard.numbers, shard.records) = ([:], [:]) }
        return shard.records.values.map(\.value)
      }
    }
  }

  private func shard(of node: NodeID) -> Locked { shards[Int(node.rawValue & UInt64(Self.shardCount - 1))] }
}
