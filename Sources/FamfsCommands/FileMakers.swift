import Famfs
import FamfsControl
import Platform

/// The file makers of one thread, one for each mount.
final class FileMakers {
  private let striping: StripingChoice
  private var makers: [String: FileMaker] = [:]
  /// Everything mounted, when this was made.
  let mounts = try? Mount.all()

  /// Makers of files that are laid out in one way.
  init(striping: StripingChoice) { self.striping = striping }

  /// The one for a mount; made when it is first asked for.
  func maker(for mount: Mount) throws -> FileMaker {
    if let maker = makers[mount.mountPoint] { return maker }
    let maker = try FileMaker(mount: mount, striping: striping.striping(on:))
    makers[mount.mountPoint] = maker
    return maker
  }
}
