// swift-tools-version: 6.2

import PackageDescription

/// Settings of every Swift target: language mode 6, the upcoming features, and no warning that survives.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let certificates = Target.Dependency.product(name: "X509", package: "swift-certificates")
let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let grpcCore = Target.Dependency.product(name: "GRPCCore", package: "grpc-swift-2")
let grpcProtobuf = Target.Dependency.product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let grpcTransport = Target.Dependency.product(
    name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let locks = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let swiftASN1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")

let package = Package(
    name: "holdfast",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "holdfast", targets: ["holdfast"]),
        .executable(name: "holdfast-agent", targets: ["holdfast-agent"]),
        .executable(name: "holdfast-lab", targets: ["holdfast-lab"]),
        .executable(name: "holdfast-manager", targets: ["holdfast-manager"]),
        .executable(name: "holdfast-simulate", targets: ["holdfast-simulate"]),
        .executable(name: "VBoxManage-standin", targets: ["VBoxManage-standin"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.0"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        // The protocol: pure decisions, no clock, socket, disk or thread.
        .target(name: "SnapshotProtocol", swiftSettings: strict),
        .target(name: "Packets", swiftSettings: strict),

        // XML of libvirt and VirtualBox, read strictly.
        .target(name: "MarkupTree", swiftSettings: strict),

        // System libraries.
        .systemLibrary(
            name: "CNetfilterQueue", pkgConfig: "libnetfilter_queue", providers: [.apt(["libnetfilter-queue-dev"])]),
        .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
        .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt-qemu", providers: [.apt(["libvirt-dev"])]),

        // What a desktop does.
        .target(
            name: "PacketGate",
            dependencies: ["Packets", "CNetfilterQueue", "CPcap", crypto, locks, logging],
            swiftSettings: strict),
        .target(name: "Hypervisor", dependencies: [locks, logging, subprocess], swiftSettings: strict),
        .target(
            name: "LibvirtHypervisor",
            dependencies: ["Hypervisor", "MarkupTree", "CLibvirt", locks, logging, subprocess],
            swiftSettings: strict),
        .target(
            name: "QEMUHypervisor", dependencies: ["Hypervisor", locks, logging, subprocess], swiftSettings: strict),
        .target(
            name: "VirtualBoxHypervisor", dependencies: ["Hypervisor", "MarkupTree", locks, logging, subprocess],
            exclude: ["VirtualBox.md"], swiftSettings: strict),
        .target(name: "SnapshotStore", dependencies: ["SnapshotProtocol", crypto, locks], swiftSettings: strict),
        .target(
            name: "WireProtocol",
            dependencies: ["SnapshotProtocol", grpcCore, grpcProtobuf, grpcTransport, nio, protobuf],
            exclude: ["Protos", "generate.sh"],
            swiftSettings: strict),
        .target(
            name: "HostAgent",
            dependencies: [
                "SnapshotProtocol", "Packets", "PacketGate", "Hypervisor", "LibvirtHypervisor", "QEMUHypervisor",
                "VirtualBoxHypervisor", "SnapshotStore", "WireProtocol", certificates, configuration, crypto, grpcCore,
                grpcTransport, locks, logging, protobuf, serviceLifecycle, subprocess, swiftASN1,
            ],
            swiftSettings: strict),

        // What the coordinator does.
        .target(
            name: "SnapshotManager",
            dependencies: [
                "SnapshotProtocol", "SnapshotStore", "WireProtocol", certificates, configuration, crypto, grdb,
                grpcCore, grpcTransport, locks, logging, protobuf, serviceLifecycle, swiftASN1,
            ],
            swiftSettings: strict),
        .target(
            name: "ManagerClient",
            dependencies: ["SnapshotProtocol", "WireProtocol", grpcCore, grpcTransport, protobuf],
            swiftSettings: strict),
        .target(
            name: "HoldfastCommands",
            dependencies: ["ManagerClient", "SnapshotProtocol", "WireProtocol", argumentParser, locks],
            swiftSettings: strict),

        // A desktop cloud on one machine.
        .target(
            name: "DesktopLab",
            dependencies: [
                "Hypervisor", "LibvirtHypervisor", "MarkupTree", "QEMUHypervisor", "VirtualBoxHypervisor", locks,
                logging, subprocess,
            ],
            exclude: ["Guest"],
            swiftSettings: strict),

        // A world of its own around the protocol's machines, from a seed.
        .target(name: "SimulatedCluster", dependencies: ["SnapshotProtocol"], swiftSettings: strict),

        // Mains.
        .executableTarget(name: "holdfast", dependencies: ["HoldfastCommands"], swiftSettings: strict),
        .executableTarget(
            name: "holdfast-agent",
            dependencies: [
                "HoldfastCommands", "HostAgent", "SnapshotProtocol", argumentParser, logging, serviceLifecycle,
                unixSignals,
            ],
            path: "agents/host-agent", exclude: ["packaging"], swiftSettings: strict),
        .executableTarget(
            name: "holdfast-lab", dependencies: ["DesktopLab", argumentParser, logging], swiftSettings: strict),
        .executableTarget(
            name: "holdfast-manager", dependencies: ["SnapshotManager", "WireProtocol", argumentParser, logging],
            swiftSettings: strict),

        .executableTarget(
            name: "holdfast-simulate", dependencies: ["SimulatedCluster", argumentParser], swiftSettings: strict),

        // Not VirtualBox: what stands in for it where it cannot be installed.
        .executableTarget(
            name: "VBoxManage-standin", dependencies: ["Hypervisor", "MarkupTree"],
            path: "Sources/vboxmanage-standin", swiftSettings: strict),

        // Tests. Those of the gate, the laboratory and the integration need root and say so.
        .testTarget(
            name: "SnapshotProtocolTests", dependencies: ["SnapshotProtocol"], exclude: ["Traces"],
            swiftSettings: strict),
        .testTarget(name: "PacketsTests", dependencies: ["Packets"], swiftSettings: strict),
        .testTarget(name: "MarkupTreeTests", dependencies: ["MarkupTree"], swiftSettings: strict),
        .testTarget(
            name: "PacketGateTests", dependencies: ["PacketGate", "Packets", "CPcap", crypto, locks, logging],
            swiftSettings: strict),
        .testTarget(
            name: "SnapshotStoreTests", dependencies: ["SnapshotStore", "SnapshotProtocol", "Packets", crypto],
            swiftSettings: strict),
        .testTarget(
            name: "WireProtocolTests", dependencies: ["WireProtocol", "SnapshotProtocol", grpcCore, protobuf],
            swiftSettings: strict),
        .testTarget(
            name: "SnapshotManagerTests",
            dependencies: [
                "SnapshotManager", "SnapshotStore", "SnapshotProtocol", "WireProtocol", "ManagerClient", certificates,
                configuration, crypto, grpcCore, grpcTransport, locks, logging, protobuf, serviceLifecycle, swiftASN1,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HoldfastCommandsTests",
            dependencies: ["HoldfastCommands", "ManagerClient", "WireProtocol", "SnapshotProtocol", locks],
            swiftSettings: strict),
        .target(
            name: "HypervisorConformance", dependencies: ["Hypervisor", "DesktopLab", locks],
            path: "Tests/HypervisorConformance",
            swiftSettings: strict),
        .testTarget(
            name: "HypervisorTests", dependencies: ["Hypervisor", "HypervisorConformance", locks, logging],
            swiftSettings: strict),
        .testTarget(
            name: "LibvirtHypervisorTests",
            dependencies: [
                "LibvirtHypervisor", "Hypervisor", "HypervisorConformance", "MarkupTree", "CLibvirt", "DesktopLab",
                locks, logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "QEMUHypervisorTests",
            dependencies: ["QEMUHypervisor", "Hypervisor", "HypervisorConformance", "DesktopLab", locks, logging],
            swiftSettings: strict),
        .testTarget(
            name: "VirtualBoxHypervisorTests",
            dependencies: [
                "VirtualBoxHypervisor", "Hypervisor", "HypervisorConformance", "DesktopLab", "VBoxManage-standin",
                locks, logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HostAgentTests",
            dependencies: [
                "HostAgent", "Hypervisor", "PacketGate", "Packets", "SnapshotProtocol", "SnapshotStore", "WireProtocol",
                certificates, crypto, locks, logging, protobuf, swiftASN1,
            ],
            swiftSettings: strict),
        .target(
            name: "FuzzSubjects",
            dependencies: [
                "CNetfilterQueue", "DesktopLab", "HoldfastCommands", "HostAgent", "Hypervisor", "LibvirtHypervisor",
                "PacketGate", "Packets", "SnapshotManager", "SnapshotProtocol", "SnapshotStore",
                "VirtualBoxHypervisor", "WireProtocol", certificates, crypto, grpcCore, protobuf, swiftASN1,
            ],
            path: "Tests/Fuzzing/FuzzSubjects", swiftSettings: strict),
        .testTarget(name: "FuzzCorpusTests", dependencies: ["FuzzSubjects"], swiftSettings: strict),
        .testTarget(
            name: "SimulatedClusterTests", dependencies: ["SimulatedCluster", "SnapshotProtocol", "holdfast-simulate"],
            swiftSettings: strict),
        .testTarget(name: "DesktopLabTests", dependencies: ["DesktopLab", locks], swiftSettings: strict),
        .testTarget(
            name: "IntegrationTests", dependencies: ["DesktopLab", "Hypervisor", "SnapshotProtocol"],
            swiftSettings: strict),
    ]
)

/// The fuzzer needs libFuzzer's runtime, which an ordinary build must not. See Tests/Fuzzing/fuzz.sh.
if Context.environment["HOLDFAST_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "holdfast-fuzz", dependencies: ["FuzzSubjects"], path: "Tests/Fuzzing/holdfast-fuzz",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]))
}
