import CBlkid

/// What other programs would find on a device.
public enum ForeignContents {
  /// The type of the file system, volume manager or partition table at `path`, as blkid(8) names it: `ext4`, `gpt`; nil
  /// when there is none, or the device cannot be read by read(2) as dax devices cannot.
  public static func type(at path: String) -> String? {
    guard let probe = blkid_new_probe_from_filename(path) else { return nil }
    defer { blkid_free_probe(probe) }
    blkid_probe_enable_partitions(probe, 1)
    guard blkid_do_fullprobe(probe) == 0 else { return nil }
    for name in ["TYPE", "PTTYPE"] {
      var value: UnsafePointer<CChar>?
      if blkid_probe_lookup_value(probe, name, &value, nil) == 0, let value { return String(cString: value) }
    }
    return nil
  }
}
