// swift-tools-version: 6.2
import PackageDescription

// `make tsan` builds with locks that ThreadSanitizer understands; one file in each module imports them for
// the whole module.
let sanitizer = Context.environment["ASSETFS_SANITIZER"]
let hasPthreadMutex = sanitizer == "thread"
let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .treatAllWarnings(as: .error),
        .strictMemorySafety(),
    ] + (hasPthreadMutex ? [.define("ASSETFS_PTHREAD_MUTEX")] : [.enableUpcomingFeature("MemberImportVisibility")])

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grdb: [Target.Dependency] = ["GRDB", "GRDBSQLite"].map { .product(name: $0, package: "GRDB.swift") }
// The page about a module, in its folder.
let readme = ["README.md"]
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

// `make fuzz` builds a program of its own that contains `assetfs`.
let isFuzzed = Context.environment["ASSETFS_FUZZ"] != nil
let partsOfAssetfs: [Target.Dependency] = [
    "AssetFilesystem", "AssetLibrary", "LibraryRules", "LibraryStorage", "LibraryVerification", "AssetModel", "CLinux",
    "FUSE",
    "MetadataExtraction", argumentParser, logging, system,
]
let asPart = ["-parse-as-library", "-Xfrontend", "-entry-point-function-name", "-Xfrontend", "assetfs_main"]
let assetfs: Target =
    isFuzzed
    ? .target(
        name: "assetfs",
        dependencies: partsOfAssetfs,
        exclude: readme,
        swiftSettings: settings + [.unsafeFlags(asPart)]
    )
    : .executableTarget(name: "assetfs", dependencies: partsOfAssetfs, exclude: readme, swiftSettings: settings)

let package = Package(
    name: "assetfs",
    products: [
        .executable(name: "assetfs", targets: ["assetfs"]),
        .executable(name: "assetfs-worker", targets: ["assetfs-worker"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .target(name: "CFuse", exclude: readme, linkerSettings: [.linkedLibrary("fuse3")]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CWriteAheadLog", exclude: readme, linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(name: "CSearch", exclude: readme, linkerSettings: [.linkedLibrary("sqlite3")]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "FUSE", dependencies: ["CFuse", system, logging], exclude: readme, swiftSettings: settings),
        .target(name: "AssetModel", exclude: readme, swiftSettings: settings),
        .target(
            name: "BlobStore",
            dependencies: ["AssetModel", "CLinux", "COpenSSL", system],
            exclude: readme,
            swiftSettings: settings
        ),
        // A process beside the daemon: it links the parsers of untrusted files, and the daemon does not link
        // them. `probe.c` loads libavformat.
        .executableTarget(
            name: "assetfs-worker",
            exclude: readme,
            linkerSettings: ["curl", "magic", "seccomp"].map { .linkedLibrary($0) }
        ),
        .target(
            name: "MetadataExtraction",
            dependencies: ["AssetModel", "CLinux", system],
            exclude: readme,
            resources: [.embedInCode("exiftool-worker.pl")],
            swiftSettings: settings
        ),
        .target(
            name: "Catalog",
            dependencies: ["AssetModel", "CSearch", "CWriteAheadLog"] + grdb,
            exclude: readme,
            swiftSettings: settings
        ),
        .target(
            name: "LibraryStorage",
            dependencies: ["Catalog", "BlobStore", "AssetModel", "CLinux", system, logging],
            exclude: readme,
            swiftSettings: settings
        ),
        .target(
            name: "LibraryVerification",
            dependencies: ["LibraryStorage", "Catalog", "BlobStore", "AssetModel", system],
            exclude: readme,
            swiftSettings: settings
        ),
        .target(
            name: "LibraryRules",
            dependencies: ["LibraryStorage", "Catalog", "AssetModel"],
            exclude: readme,
            swiftSettings: settings
        ),
        .target(
            name: "AssetLibrary",
            dependencies: [
                "LibraryVerification", "LibraryRules", "LibraryStorage", "Catalog", "BlobStore", "MetadataExtraction",
                "AssetModel",
                "CLinux", system, logging,
            ],
            exclude: readme + ["UPLOADS.md"],
            swiftSettings: settings
        ),
        .target(
            name: "AssetFilesystem",
            dependencies: [
                "FUSE", "AssetLibrary", "LibraryRules", "LibraryStorage", "Catalog", "BlobStore", "MetadataExtraction",
                "AssetModel",
                system, logging,
            ],
            exclude: readme,
            swiftSettings: settings
        ),
        assetfs,
        .target(
            name: "TestSupport",
            dependencies: [
                "AssetLibrary", "LibraryRules", "LibraryStorage", "LibraryVerification", "Catalog", "BlobStore",
                "AssetModel", system,
            ],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "assetfs", "AssetFilesystem", "AssetLibrary", "LibraryRules", "LibraryStorage", "LibraryVerification",
                "AssetModel",
                "CLinux",
                "Catalog", "MetadataExtraction",
                system,
            ] + grdb,
            path: "Tests/Fuzz/Targets",
            swiftSettings: settings
        ),
        // Includes the executable target: SwiftPM links a test with the parts of a program only if the test
        // names the program.
        .testTarget(
            name: "FuzzTests",
            dependencies: ["FuzzTargets", "TestSupport", "assetfs"],
            path: "Tests/Fuzz/Tests",
            swiftSettings: settings
        ),
        .testTarget(name: "AssetModelTests", dependencies: ["AssetModel"], swiftSettings: settings),
        .testTarget(name: "BlobStoreTests", dependencies: ["BlobStore", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "MetadataExtractionTests",
            dependencies: ["AssetModel", "MetadataExtraction", "TestSupport", system],
            swiftSettings: settings
        ),
        .testTarget(name: "CatalogTests", dependencies: ["Catalog", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "AssetLibraryTests",
            dependencies: [
                "AssetLibrary", "LibraryRules", "LibraryStorage", "LibraryVerification", "AssetModel", "BlobStore",
                "Catalog",
                "TestSupport", logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AssetFilesystemTests",
            dependencies: ["AssetFilesystem", "AssetModel", "FUSE", "LibraryRules", "LibraryStorage"],
            swiftSettings: settings
        ),
        .testTarget(name: "MountTests", dependencies: ["TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "ToolTests",
            dependencies: [
                "AssetLibrary", "LibraryRules", "LibraryStorage", "LibraryVerification", "AssetModel", "Catalog",
                "TestSupport",
                logging,
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "CommandTests", dependencies: ["TestSupport"], swiftSettings: settings),
        .testTarget(name: "ArchitectureTests", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

// `make tsan` and `make asan` begin with faults that a sanitizer must report.
if sanitizer != nil {
    package.targets += [
        .target(name: "ProbeInC", path: "Tests/Sanitizers/ProbeInC"),
        .executableTarget(
            name: "sanitizer-probe",
            dependencies: ["ProbeInC"],
            path: "Tests/Sanitizers/Probe",
            swiftSettings: settings
        ),
    ]
}

if hasPthreadMutex {
    package.targets.append(.target(name: "PthreadMutex", path: "Tests/Sanitizers/PthreadMutex"))
    for target in package.targets where target.swiftSettings?.isEmpty == false {
        target.dependencies.append("PthreadMutex")
    }
}

// `make fuzz` links this library with libFuzzer, which provides `main`.
if isFuzzed {
    package.products = [.library(name: "fuzz", type: .static, targets: ["FuzzDriver"])]
    package.targets.append(
        .target(
            name: "FuzzDriver",
            dependencies: ["FuzzTargets"],
            path: "Tests/Fuzz/Driver",
            swiftSettings: settings
        )
    )
    for target in package.targets where target.swiftSettings?.isEmpty == false {
        target.swiftSettings?.append(.define("ASSETFS_FUZZ"))
    }
}
