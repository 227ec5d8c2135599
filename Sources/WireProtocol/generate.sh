#!/bin/sh
# Generates Generated/*.swift from Protos/**/*.proto.
#
#   generate.sh           writes the generated code
#   generate.sh --check   fails when the committed code is not what the protos give
#
# protoc is Debian's (protobuf-compiler). The two plugins are built once, from the versions that the package resolves,
# in .build-protoc at the root of the checkout.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
tools="$root/.build-protoc"

mode=${1:-write}
case "$mode" in
write | --check) ;;
*)
    echo "usage: generate.sh [write|--check]" >&2
    exit 64
    ;;
esac

command -v protoc >/dev/null || {
    echo "protoc is missing: install Debian's protobuf-compiler (make setup does it)." >&2
    exit 1
}

bin="$tools/bin"
if [ ! -x "$bin/protoc-gen-swift" ] || [ ! -x "$bin/protoc-gen-grpc-swift-2" ]; then
    mkdir -p "$tools/Sources/Plugins" "$bin"
    cat >"$tools/Package.swift" <<'MANIFEST'
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "protoc-plugins",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.0"),
    ],
    targets: [
        .target(
            name: "Plugins",
            dependencies: [
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
            ])
    ]
)
MANIFEST
    echo "enum Plugins {}" >"$tools/Sources/Plugins/Plugins.swift"
    for plugin in protoc-gen-swift protoc-gen-grpc-swift-2; do
        swift build --package-path "$tools" --product "$plugin" >&2
        cp "$(swift build --package-path "$tools" --show-bin-path)/$plugin" "$bin/$plugin"
    done
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT INT TERM

# shellcheck disable=SC2046  # names of our own, without spaces
protoc \
    --proto_path="$here/Protos" \
    --plugin=protoc-gen-swift="$bin/protoc-gen-swift" \
    --plugin=protoc-gen-grpc-swift-2="$bin/protoc-gen-grpc-swift-2" \
    --swift_out="$out" --swift_opt=Visibility=Package --swift_opt=FileNaming=DropPath \
    --swift_opt=UseAccessLevelOnImports=true \
    --grpc-swift-2_out="$out" --grpc-swift-2_opt=Visibility=Package --grpc-swift-2_opt=FileNaming=DropPath \
    --grpc-swift-2_opt=UseAccessLevelOnImports=true \
    $(cd "$here/Protos" && find . -name '*.proto' | sed 's|^\./||' | sort)

# The gRPC plugin also writes a file for each proto without a service.
for file in "$out"/*.grpc.swift; do
    if grep -q "contained no services" "$file"; then rm "$file"; fi
done

if [ "$mode" = --check ]; then
    if ! diff -r "$out" "$here/Generated"; then
        echo "The generated code is out of date: run make protos and commit the result." >&2
        exit 1
    fi
    echo "The generated code is current."
else
    mkdir -p "$here/Generated"
    find "$here/Generated" -name '*.swift' -delete
    cp "$out"/*.swift "$here/Generated/"
fi
