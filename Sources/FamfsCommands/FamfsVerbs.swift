import CommandKit

/// The commands of famfs, but for the daemon's.
package enum FamfsVerbs {
  /// Programs with a name of their own.
  package static let programs: [any Verb.Type] = [MakeCommand.self, MountHelperCommand.self]

  /// What stands behind `famfs`.
  package static let all: [any Verb.Type] = [
    MountCommand.self, UnmountCommand.self, MakeDirectoryCommand.self, CopyCommand.self, CreateCommand.self,
    VerifyCommand.self, FlushCommand.self, ExecCommand.self, RemoveCommand.self, CloneCommand.self,
    AddDeviceCommand.self, DeviceCommand.self, TakeOverCommand.self, LogplayCommand.self, CheckCommand.self,
    PublishCommand.self, MountCheckCommand.self, StatusCommand.self, TopCommand.self, CommitCommand.self,
    MapCommand.self, PictureCommand.self, ReadCheckCommand.self, MetaCommand.self,
  ]
}
