import CommandKit

/// The commands of famfs, but for the daemon's.
package enum FamfsCommandTable {
  /// Programs with a name of their own.
  package static let programs: [any Command.Type] = [MkfsCommand.self, MountFamfsCommand.self]

  /// What stands behind `famfs`.
  package static let all: [any Command.Type] = [
    MountCommand.self, UmountCommand.self, MkdirCommand.self, CpCommand.self, CreatCommand.self,
    VerifyCommand.self, FlushCommand.self, ExecCommand.self, RmCommand.self, CloneCommand.self,
    DevaddCommand.self, DeviceCommand.self, TakeoverCommand.self, LogplayCommand.self, FsckCommand.self,
    PublishCommand.self, CheckCommand.self, StatusCommand.self, TopCommand.self, CommitCommand.self,
    GetmapCommand.self, MapCommand.self, ChkreadCommand.self, MkmetaCommand.self,
  ]
}
