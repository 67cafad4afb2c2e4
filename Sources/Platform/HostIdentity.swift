import Glibc

/// Who this machine is among those that share a memory device.
public enum HostIdentity {
  /// Finds this host's system UUID: `FAMFS_SYSTEM_UUID` of the environment before all else; the DMI product UUID,
  /// which only root can read; the copy that the public famfs keeps of it; and on machines without DMI one derived
  /// from /etc/machine-id.
  /// - Throws: a sentence, when the environment's value is no UUID or there is none to be found.
  public static func systemUUID() throws(HostIdentityError) -> UUID {
    try systemUUID(
      override: environment("FAMFS_SYSTEM_UUID"),
      systemFiles: ["/sys/class/dmi/id/product_uuid", "/opt/famfs/system_uuid"], machineFile: "/etc/machine-id")
  }

  /// This host's system UUID for those that only read, who need none: nil when there is none to be found.
  /// - Throws: a sentence, when the environment's value is no UUID.
  public static func knownSystemUUID() throws(HostIdentityError) -> UUID? {
    do { return try systemUUID() } catch {
      if case .none = error { return nil }
      throw error
    }
  }

  static func systemUUID(
    override: String?, systemFiles: [String], machineFile: String
  ) throws(HostIdentityError) -> UUID {
    if let override {
      guard let uuid = UUID(override) else { throw .badOverride(override) }
      return uuid
    }
    for path in systemFiles {
      if let uuid = firstLine(of: path).flatMap({ UUID($0) }), isReal(uuid) { return uuid }
    }
    if let uuid = firstLine(of: machineFile).flatMap({ UUID($0) }), isReal(uuid) {
      return uuid.marked(version: 8)
    }
    throw .none
  }

  /// Firmware without an identifier says all zeros, all ones, or what its maker never changed.
  private static func isReal(_ uuid: UUID) -> Bool {
    let placeholders = [
      UUID.zero, UUID(high: .max, low: .max), UUID("03000200-0400-0500-0006-000700080009"),
      UUID("00020003-0004-0005-0006-000700080009"), UUID("12345678-1234-5678-90ab-cddeefaabbcc"),
    ]
    return !placeholders.contains(uuid)
  }
}

/// Why a host has no identity.
public enum HostIdentityError: Error, CustomStringConvertible, Sendable {
  /// `FAMFS_SYSTEM_UUID` is set to this text, which is no UUID.
  case badOverride(String)
  /// Neither DMI nor /etc/machine-id has one.
  case none

  /// The sentence.
  public var description: String {
    switch self {
    case .badOverride(let text):
      "FAMFS_SYSTEM_UUID is '\(text)', which is not a UUID; set it to one like 2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21"
    case .none:
      "this host has neither a DMI product UUID nor /etc/machine-id; set FAMFS_SYSTEM_UUID to a UUID of its own"
    }
  }
}

/// The value of an environment variable; nil when it is not set or empty.
public func environment(_ name: String) -> String? {
  guard let value = getenv(name), value.pointee != 0 else { return nil }
  return String(cString: value)
}
