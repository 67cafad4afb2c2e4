import Famfs

/// Publishing a volume that is not mounted.
public enum UnmountedPublishing {
  /// Writes a view of a volume that this process alone has open.
  public static func publish(_ volume: Volume, force: Bool) throws(FamfsError) -> View {
    if !force { try Publisher.checkKeeps(volume) }
    return try Publisher(of: volume).publish()
  }
}

extension Publisher {
  /// Checks that a volume keeps its files: hosts that read it by EROFS leave no heartbeat.
  /// - Throws: a sentence, when files can be removed.
  public static func checkKeeps(_ volume: Volume) throws(FamfsError) {
    guard volume.isReclaiming else { return }
    throw .other(
      "\(volume.device.path): files of this volume can be removed, and nobody knows what hosts still read by EROFS; with "
        + "--force it is published all the same, and those hosts must unmount before space is used again")
  }
}
