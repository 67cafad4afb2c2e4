// swift-tools-version: 6.2
// Weft: memory that several machines can reach, as files. DESIGN.md draws the house.
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func room(_ name: String, _ below: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: below, swiftSettings: strict)
}

func tests(_ name: String, _ below: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(name: name, dependencies: below, exclude: exclude, swiftSettings: strict)
}

func bench(_ name: String, _ below: [Target.Dependency], path: String) -> Target {
  .executableTarget(name: name, dependencies: below, path: path, swiftSettings: strict)
}

let package = Package(
  name: "weft",
  products: [.executable(name: "weft", targets: ["weft"])],
  targets: [
    .target(name: "CLinux", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-O2"])]),
    .target(
      name: "CMicrohttpd", dependencies: ["CLinux"], cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-O2"])]),
    .target(
      name: "CFuse", exclude: ["README.md"], cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-O2"])]),
    .target(name: "CDaxctl", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-O2"])]),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CBlkid", providers: [.apt(["libblkid-dev"])]),
    room("Platform", ["CLinux"]),
    room("Memory", ["Platform", "CLinux", "CBlkid"]),
    room("Famfs", ["Memory", "Platform", "CZlib"]),
    room("Erofs", ["Famfs", "Memory", "Platform"]),
    room("Counts"),
    room("Fuse", ["Counts", "Platform", "CFuse", "CLinux"]),
    room("Blocks", ["Platform", "CLinux"]),
    room("Ext4", ["Blocks", "Platform", "CLinux"]),
    room("Queue", ["Memory", "Platform", "CZlib"]),
    room("ControlChannel", ["Platform"]),
    room("Serving", ["ControlChannel", "Counts", "Fuse", "Platform", "CLinux", "CMicrohttpd"]),
    room("FamfsControl", ["ControlChannel", "Counts", "Erofs", "Famfs", "Memory", "Platform", "CLinux"]),
    room(
      "FamfsService",
      [
        "FamfsControl", "ControlChannel", "Counts", "Serving", "Erofs", "Famfs", "Fuse", "Memory", "Platform", "CLinux",
      ]),
    room("KfsService", ["Serving", "Ext4", "Blocks", "Fuse", "Platform"]),
    room("CommandKit", ["Platform", "CLinux"]),
    room(
      "FamfsCommands",
      [
        "CommandKit", "FamfsControl", "ControlChannel", "Counts", "Erofs", "Famfs", "Fuse", "Memory", "Platform",
        "CLinux", "CDaxctl",
      ]),
    room("QueueCommands", ["CommandKit", "FamfsControl", "Famfs", "Queue", "Memory", "Platform"]),
    room("KfsCommands", ["CommandKit", "Ext4", "Blocks", "Memory", "Platform"]),
    .executableTarget(
      name: "weft",
      dependencies: [
        "CommandKit", "FamfsCommands", "FamfsService", "FamfsControl", "KfsCommands", "KfsService", "QueueCommands",
        "Platform",
      ],
      swiftSettings: strict),
    bench("bench-replay", ["Famfs", "Memory", "Platform"], path: "Benchmarks/Replay"),
    bench("bench-small", ["Platform"], path: "Benchmarks/Small"),
    bench("bench-sums", ["Platform", "CLinux", "CZlib"], path: "Benchmarks/Sums"),
    .target(
      name: "FamfsTestSupport", dependencies: ["Famfs", "Memory", "Platform"], path: "Tests/FamfsTestSupport",
      exclude: ["Fixtures"], swiftSettings: strict),
    tests("PlatformTests", ["Platform"]),
    tests("MemoryTests", ["Memory", "Platform"]),
    tests("FamfsTests", ["FamfsTestSupport", "Famfs", "Memory", "Platform"]),
    tests("ErofsTests", ["FamfsTestSupport", "Erofs", "Famfs", "Memory", "Platform"]),
    .target(
      name: "FuseTestSupport", dependencies: ["Fuse", "Platform"], path: "Tests/FuseTestSupport", swiftSettings: strict),
    tests("FuseTests", ["FuseTestSupport", "Counts", "Fuse", "Platform", "CFuse", "CYardstick"]),
    .target(
      name: "Ext4TestSupport", dependencies: ["Blocks", "Platform"], path: "Tests/Ext4TestSupport",
      swiftSettings: strict),
    tests("BlocksTests", ["Ext4TestSupport", "Blocks", "Platform"]),
    tests("Ext4Tests", ["Ext4TestSupport", "Ext4", "Blocks", "Platform", "CLinux"]),
    tests("QueueTests", ["Queue", "Memory", "Platform"]),
    tests("ControlChannelTests", ["ControlChannel", "Platform"]),
    tests("CountsTests", ["Counts"]),
    tests("ServingTests", ["Serving", "ControlChannel", "Counts", "Platform"]),
    tests("FamfsControlTests", ["FamfsControl", "ControlChannel", "Counts", "Famfs", "Memory", "Platform"]),
    tests(
      "FamfsServiceTests",
      [
        "FamfsService", "FamfsControl", "ControlChannel", "Serving", "Famfs", "FuseTestSupport", "Fuse", "Memory",
        "Platform",
      ]),
    tests("CommandKitTests", ["CommandKit"]),
    tests("QueueCommandsTests", ["QueueCommands", "Queue", "Platform"]),
    tests("WeftTests", ["weft"]),
    tests("FamfsCommandsTests", ["FamfsCommands", "CommandKit", "Famfs", "Memory", "Platform"]),
    tests("LibfamfsTests", ["FamfsTestSupport", "Famfs", "Memory", "Platform"], exclude: ["lister.c"]),
    tests("IntegrationTests", ["Ext4TestSupport", "Fuse", "Platform"]),
    .target(
      name: "CYardstick", path: "Tests/CYardstick", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-O2"])]),
    .target(
      name: "Yardstick", dependencies: ["Platform", "CLinux", "CYardstick"], path: "Tests/Yardstick",
      swiftSettings: strict),
    tests("YardstickTests", ["Yardstick", "FuseTestSupport", "Fuse", "Platform"]),
  ],
  swiftLanguageModes: [.v6]
)
