# Holdfast: consistent global snapshots of clusters of VMs.
#
#   make demo         snapshot, kill and restore a cluster of real guests on this machine, and show the result
#   make test         build and pass the tests
#
# Both install what they need from Debian's packages (as root or through sudo) and may be repeated.

SHELL := /bin/bash
SWIFT ?= swift
# Rounds of snapshot, kill, restore in the integration tests.
ROUNDS ?= 3
DESKTOPS ?= 3
VMS ?= 4
# What runs the guests of the laboratory: qemu, libvirt, virtualbox (by its stand-in) or mixed. Unset: QEMU alone, and in
# the tests what each suite is about.
HYPERVISOR ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Tests and laboratory need root: network namespaces, packet queues, libvirtd.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E env "PATH=$$PATH")
PRODUCTS = .build/debug
LAB = $(ROOT) $(PRODUCTS)/holdfast-lab

PACKAGES := \
	libnetfilter-queue-dev libpcap-dev libvirt-dev libsqlite3-dev libxml2-dev pkg-config \
	libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils \
	iptables nftables iproute2 faketime busybox-static cpio kmod tcpdump binutils protobuf-compiler ovmf swtpm swtpm-tools

.PHONY: simulate simulate-mutants build-simulator straggler fuzz setup build test integration check fmt protos check-protos demo lab-up lab-down bench faults clean

setup:
	@missing=""; for package in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then echo "setup: every package that is needed is installed."; \
	else \
		echo "setup: installing from Debian:$$missing"; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
	@command -v $(SWIFT) >/dev/null || { echo "setup: Swift 6.3 is needed; see https://swift.org/install/linux."; exit 1; }

build: setup
	$(SWIFT) build

# Everything that needs no guests first, then simulated histories from a fixed and from a fresh seed, then the tests with
# real guests, one at a time.
test: setup
	$(SWIFT) build --build-tests
	$(ROOT) $(SWIFT) test --skip-build --no-parallel --skip IntegrationTests
	$(MAKE) simulate SCHEDULES=200000 SEED=1
	$(MAKE) simulate SCHEDULES=50000 SEED=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	ROUNDS=$(ROUNDS) HYPERVISOR=$(HYPERVISOR) $(ROOT) $(SWIFT) test --skip-build --no-parallel --filter IntegrationTests

integration: setup
	$(SWIFT) build --build-tests
	ROUNDS=$(ROUNDS) HYPERVISOR=$(HYPERVISOR) $(ROOT) $(SWIFT) test --skip-build --no-parallel --filter IntegrationTests

check: check-protos
	$(SWIFT) format lint --strict --recursive --configuration .swift-format \
		Package.swift Tests agents $(filter-out Sources/WireProtocol,$(wildcard Sources/*)) \
		$(wildcard Sources/WireProtocol/*.swift)

fmt:
	$(SWIFT) format --in-place --recursive --configuration .swift-format \
		Package.swift Tests agents $(filter-out Sources/WireProtocol,$(wildcard Sources/*)) \
		$(wildcard Sources/WireProtocol/*.swift)

protos:
	Sources/WireProtocol/generate.sh

check-protos:
	Sources/WireProtocol/generate.sh --check

demo: build
	$(LAB) demo $(addprefix --hypervisor ,$(HYPERVISOR)) --desktops $(DESKTOPS) --vms $(VMS) --report .build/demo/report.json

lab-up: build
	$(LAB) up $(addprefix --hypervisor ,$(HYPERVISOR)) --desktops $(DESKTOPS) --vms $(VMS)

lab-down:
	$(LAB) down

bench: build
	$(LAB) bench $(addprefix --hypervisor ,$(HYPERVISOR)) --report .build/bench/pause.json

# What one member whose cut comes late costs the others, in either mode.
straggler: build
	$(LAB) straggler --report .build/bench/straggler.json

# One third of the table: 0, 1 or 2; all of it by default.
THIRD ?=

# Every fault at every phase of a snapshot and of a restore, on real guests.
faults: build
	$(LAB) faults --hypervisor $(or $(HYPERVISOR),libvirt) $(if $(THIRD),--third $(THIRD)) --report .build/faults/report.json

clean:
	-[ -x $(PRODUCTS)/holdfast-lab ] && $(LAB) down
	$(SWIFT) package clean

# The protocol's own machines in a simulated world: SCHEDULES histories, each from a seed.
SCHEDULES ?= 100000
SEED ?= 1

simulate: build-simulator
	.build/release/holdfast-simulate run --schedules $(SCHEDULES) --seed $(SEED)

# Each defect that one could really write must be caught.
build-simulator: setup
	$(SWIFT) build -c release --product holdfast-simulate

simulate-mutants: build-simulator
	.build/release/holdfast-simulate mutants

# Seconds for each fuzz subject, how many of them at a time, and which; all of them when none is named.
SECONDS ?= 60
JOBS ?= 1
SUBJECTS ?=

fuzz: setup
	JOBS=$(JOBS) Tests/Fuzzing/fuzz.sh $(SECONDS) $(SUBJECTS)
