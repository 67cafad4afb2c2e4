/// When mounts leave heartbeats, and how long they are waited for.
extension Heartbeat {
  /// Nanoseconds between two heartbeats.
  public static let interval: UInt64 = 500_000_000
  /// Nanoseconds without a change after which a mount counts as dead.
  public static let patience: UInt64 = 5_000_000_000
}

/// A mount that has left a heartbeat, as another one sees it.
public struct Peer: Equatable, Sendable {
  /// What it left last.
  public var heartbeat: Heartbeat
  /// Nanoseconds since it was seen to change; nil when it has not been since this mount began.
  public var age: UInt64?

  /// A mount whose last heartbeat is this one.
  public init(heartbeat: Heartbeat, age: UInt64?) { (self.heartbeat, self.age) = (heartbeat, age) }

  /// Whether it lives, as far as can be told: a heartbeat comes twice a second.
  public var isAlive: Bool { age.map { $0 < Heartbeat.patience } ?? false }
}
