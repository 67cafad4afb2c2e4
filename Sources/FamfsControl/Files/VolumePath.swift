import Famfs
import Glibc
import Platform

/// A path that lies in a mounted volume; the last components need not exist.
package struct VolumePath {
  /// The mount that it lies in.
  package let mount: Mount
  /// Relative to the volume's root: no `.`, `..`, empty components or symbolic links; empty for the root.
  package let path: String
  /// As the kernel finds it, for stat and open.
  package let absolute: String

  /// Finds the mount around a path. A path that does not exist counts with the nearest directory that does.
  /// - Parameter mounts: all that there are, for who has many paths; nil looks for them.
  /// - Throws: a sentence, when it lies in no famfs mount.
  package init(_ text: String, among mounts: [Mount]? = nil) throws(FamfsError) {
    guard !text.isEmpty else { throw .other("an empty path names nothing; give a path in a mounted famfs") }
    var missing: [String] = []
    var existing = text
    var real: String?
    while real == nil {
      do throws(Errno) { real = try realPath(existing) } catch {
        let parts = pathComponents(existing)
        if error == .notDirectory { throw .parentIsFile(text) }
        // A name too long for the volume cannot exist either; its daemon says so with the limit.
        guard let last = parts.last, error == .noEntry || error == .nameTooLong, existing != "." else {
          throw .other("\(text): \(error)")
        }
        missing.insert(last, at: 0)
        existing = (existing.utf8.first == UInt8(ascii: "/") ? "/" : "") + parts.dropLast().joined(separator: "/")
        if existing.isEmpty { existing = "." }
      }
    }
    guard let real else { throw .notFound(text) }
    if missing.contains("..") { throw .other("\(text): a directory before '..' does not exist; make it first") }
    let rest = missing.filter { $0 != "." }
    guard let mount = MountedVolume.containing(real, among: mounts) else {
      throw .other("\(text) is not in a mounted famfs; mount one with famfs mount DEVICE MOUNTPOINT")
    }
    let inside = pathComponents(real).dropFirst(pathComponents(mount.mountPoint).count)
    let components = pathComponents(mount.root) + inside + rest
    self.mount = mount
    path = components.joined(separator: "/")
    absolute = ([real == "/" ? "" : real] + rest).joined(separator: "/")
  }

  /// The mount around a path, which is asked nothing: its daemon may be stopped.
  /// - Throws: a sentence, when the path lies in no famfs mount.
  package static func mount(around text: String) throws(FamfsError) -> Mount {
    if let mount = MountedVolume.around(text) { return mount }
    return try VolumePath(text).mount
  }

  private init(mount: Mount, path: String, absolute: String) {
    self.mount = mount
    self.path = path
    self.absolute = absolute
  }

  /// Whether it names the volume's own files, or what could lie among them.
  package var isReserved: Bool { path.isInside(".meta") }

  /// Checks that the directory is there that it lies in, or would lie in.
  package func checkParent() throws(FamfsError) {
    let parent = pathComponents(absolute).dropLast().joined(separator: "/")
    guard let status = try? FileStatus(path: "/" + parent) else { throw .noParent(absolute) }
    if status.kind != .directory { throw .parentIsFile(absolute) }
  }

  /// A child of this directory.
  package func appending(_ name: String) -> VolumePath {
    VolumePath(mount: mount, path: path.isEmpty ? name : path + "/" + name, absolute: absolute + "/" + name)
  }
}
