/// What the kernel's page cache may keep of a file's contents.
public enum CachePolicy: String, CaseIterable, Sendable {
  /// Nothing: every read(2) and write(2) goes to the memory. Mapped pages are still cached while they are mapped.
  case never
  /// Until the file is opened again: an open sees what other hosts had written before it.
  case auto
  /// For good: for data that nobody changes.
  case always
}
