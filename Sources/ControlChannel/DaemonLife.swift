/// Whether a mount's daemon is there.
public enum DaemonLife: Sendable {
  /// It answers, or lives and will not talk to this user.
  case answers
  case isGone, isSilent
  /// No daemon that this user can see and may believe says that it serves the mount.
  case isUnknown
}
