import Famfs
import Fuse
import Platform
import Serving

/// Follows a volume's log for as long as the process lives, on a thread of its own, and tells the kernel which
/// directories have grown, and what has other attributes.
struct Follower: Sendable {
  let volume: Volume
  let staging: Staging?
  let settings: LiveSettings
  let notifier: Notifier
  let log: DaemonLog
  /// Whether to begin at once; else when a command has made the volume look at its log (`famfs mount --dummy`).
  let beginsAtOnce: Bool
  /// Whether it looks at the log; else commands make the volume do so, as with the public famfs.
  let looksByItself: Bool
  /// Nanoseconds between two looks, which cost little more than waking up: while something came lately, and else.
  static let interval: UInt64 = 20_000_000
  private static let idleInterval: UInt64 = 100_000_000
  /// Nanoseconds without news after which nothing is expected soon.
  private static let patience: UInt64 = 10_000_000_000

  func run() {
    var trouble: String?
    var last = Clock.monotonic()
    var memory = MemoryWatch(volume, log)
    while !beginsAtOnce && volume.usage().entries == 0 { Clock.sleep(nanoseconds: Follower.interval) }
    if (try? notifier.expireNames()) != nil { settings.namesAreTold() }
    while true {
      let news = looksByItself ? volume.follow() : volume.takeNews()
      for directory in news.directories {
        // Only attributes: what a directory lists is not cached, and neither is that a name does not exist.
        try? notifier.invalidate(id(of: directory), from: -1)
      }
      for number in news.attributes { try? notifier.invalidate(id(of: number), from: -1) }
      if !news.removals.isEmpty {
        // Nothing here may wait for a lock of the kernel's: a daemon that is killed meanwhile would never end. The pages of
        // what is gone hold its own bytes; the kernel drops them by itself.
        try? notifier.expireNames()
        for gone in news.removals { try? notifier.invalidate(id(of: gone.number), from: -1) }
      }
      if news.problems > 0 { log.warning("\(news.problems) new log entries are bad; famfs fsck names them") }
      if news.trouble != trouble, let sentence = news.trouble {
        log.error("\(volume.device.path): \(sentence)")
        if volume.isLost { dropPages() }
      }
      trouble = news.trouble
      memory.look()
      let now = Clock.monotonic()
      if !news.directories.isEmpty || !news.attributes.isEmpty { last = now }
      Clock.sleep(nanoseconds: now - last < Follower.patience ? Follower.interval : Follower.idleInterval)
    }
  }

  /// What the kernel has cached of files that are gone must not be read any more.
  private func dropPages() {
    for number in 0..<volume.nodeCount { try? notifier.invalidate(id(of: NodeNumber(number)), from: 0) }
  }

  /// By what number the kernel knows a node of the log.
  private func id(of number: NodeNumber) -> NodeID { staging?.id(of: number) ?? NodeID(number) }
}
