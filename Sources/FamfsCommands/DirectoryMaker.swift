import CommandKit
import Famfs
import FamfsControl
import Platform

/// Makes directories through a mount's daemon.
enum DirectoryMaker {
  /// Makes one directory, or all that are missing on the way, with `mode` the last and the usual mode the others.
  /// - Returns: the paths made.
  static func make(
    _ path: VolumePath, withParents: Bool, mode: UInt32, owner: Ownership, through client: borrowing ControlClient
  ) throws -> [String] {
    let components = pathComponents(path.path)
    let hidden = pathComponents(path.mount.root).count  // by a bind mount, which shows only what is below
    let top = "/" + pathComponents(path.absolute).dropLast(components.count - hidden).joined(separator: "/")
    var made: [String] = []
    let first = withParents ? hidden + 1 : components.count
    if components.isEmpty && !withParents { throw FamfsError.exists(path.absolute) }
    guard first <= components.count else { return [] }
    for count in first...components.count {
      let name = components[..<count].joined(separator: "/")
      let visible = top + "/" + components[hidden..<count].joined(separator: "/")
      if withParents, let status = try? FileStatus(path: visible) {
        if status.kind != .directory {
          throw count == components.count ? FamfsError.exists(visible) : .parentIsFile(visible)
        }
        continue
      }
      do {
        try client.ask(
          .makeDirectory(
            NewName(
              path: name, permissions: count == components.count ? mode : 0o777 & ~currentUmask(), userID: owner.userID,
              groupID: owner.groupID)))
        made.append(visible)
      } catch {
        // Somebody else may have made it since it was looked for.
        guard withParents, (try? FileStatus(path: visible))?.kind == .directory else { throw error }
      }
    }
    return made
  }
}
