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
    room("Fuse", ["Platform", "CFuse", "CLinux"]),
    room("FamfsMount", ["Erofs", "Famfs", "Fuse", "Memory", "Platform", "CLinux", "CMicrohttpd"]),
    room("Queue", ["Memory", "Platform", "CZlib"]),
    room("Commands", ["FamfsMount", "Erofs", "Fuse", "Famfs", "Queue", "Memory", "Platform", "CLinux", "CDaxctl"]),
    .executableTarget(name: "weft", dependencies: ["Commands"], swiftSettings: strict),
    bench("bench-replay", ["Famfs", "Memory", "Platform"], path: "Benchmarks/Replay"),
    bench("bench-small", ["Platform"], path: "Benchmarks/Small"),
    bench("bench-sums", ["Platform", "CLinux", "CZlib"], path: "Benchmarks/Sums"),
    tests("PlatformTests", ["Platform"]),
    tests("MemoryTests", ["Memory", "Platform"]),
    tests("FamfsTests", ["Erofs", "Famfs", "Memory", "Platform"], exclude: ["Fixtures"]),
    tests("FuseTests", ["Fuse", "Platform", "CFuse"]),
    tests("FamfsMountTests", ["FamfsMount", "Famfs", "Fuse", "Memory", "Platform"]),
    tests("QueueTests", ["Queue", "Memory", "Platform"]),
    tests("CommandsTests", ["Commands", "Famfs", "Memory", "Platform"]),
    tests("IntegrationTests", ["Fuse", "Platform"]),
    .target(
      name: "CYardstick", path: "Tests/CYardstick", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-O2"])]),
    .target(
      name: "Yardstick", dependencies: ["Platform", "CLinux", "CYardstick"], path: "Tests/Yardstick",
      swiftSettings: strict),
    tests("YardstickTests", ["Yardstick", "Platform"]),
  ],
  swiftLanguageModes: [.v6]
)
