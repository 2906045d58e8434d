# The two commands of the README, and those of people who work on Ingot.
# Nothing here needs more than the registries of Debian, Rust and Go.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TARGET := target/x86_64-unknown-linux-gnu/release
DIST := dist
CATALOG := images/catalog.yaml
ISO := $(DIST)/ingot.iso
STORAGE_ISO := $(DIST)/ingot-storage.iso
CONFORMANCE_ISO := $(DIST)/conformance.iso
KEY := $(DIST)/ingot.key
PUB := $(DIST)/ingot.pub
SANDBOX := demo

# Debian packages: to build, to make and check bundles, to run throw-away servers.
PACKAGES := gcc git pkg-config libseccomp-dev xorriso mmdebstrap iproute2 nftables procps minisign skopeo python3-venv openssh-client bc curl

# Servers, shells and sudo to try the SSH transport on.
SSH_PACKAGES := openssh-server openssh-client sudo bash dash zsh fish ksh tcsh busybox util-linux

# To run guests: virtual machines with a kernel and disks of their own.
GUEST_PACKAGES := qemu-system-x86 qemu-utils e2fsprogs mmdebstrap openssh-client iproute2 tar

# The programs are taken from below target/, wherever else somebody's own builds go.
unexport CARGO_TARGET_DIR

export INGOT_BUNDLE = $(CURDIR)/$(ISO)
export INGOT_TRUSTED_KEY = $(CURDIR)/$(PUB)
export INGOT_BIN = $(CURDIR)/$(TARGET)/ingot

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | column -t -s'|'

# Installs the Debian packages of $(1) that are missing, or names them.
define install_packages
missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}\n' $$p 2>/dev/null | grep -q '^install ok' || echo $$p; done); \
[ -z "$$missing" ] || if [ "$$(id -u)" = 0 ]; then \
  echo "installing: $$(echo $$missing)"; \
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
else echo "missing Debian packages, install them as root: apt-get install $$(echo $$missing)"; exit 3; fi
endef

.PHONY: packages
packages: ## Install the Debian packages that are missing (as root), or name them
	@$(call install_packages,$(PACKAGES))
	@for tool in cargo go; do command -v $$tool >/dev/null || { echo "missing: $$tool (see README)"; exit 3; }; done

.PHONY: guest-packages
guest-packages: ## The same for the packages that guests need
	@$(call install_packages,$(GUEST_PACKAGES))

.PHONY: build
build: packages ## Build the programs
	# With the tests: their features are those of the programs then, and nothing compiles twice.
	cargo build --release --workspace --all-targets

$(KEY): | build
	@mkdir -p $(DIST)
	$(TARGET)/iso-builder keygen $(DIST)/ingot

.PHONY: bundle
bundle: build $(KEY) ## Build the signed ISO; unchanged parts come from the cache
	$(TARGET)/iso-builder build --catalog $(CATALOG) --key $(KEY) --output $(ISO)

.PHONY: demo
demo: bundle ## A cluster of throw-away servers on this machine: one control plane, one worker (as root)
	$(TARGET)/ingot sandbox delete $(SANDBOX) >/dev/null 2>&1 || true
	$(TARGET)/ingot sandbox create $(SANDBOX) --control-planes 1 --workers 1

.PHONY: test
test: bundle ssh-packages ## Every test, the scenarios on real hosts included (as root)
	INGOT_HOST_TESTS=1 INGOT_TOOL_TESTS=1 cargo test --release --workspace --no-fail-fast

.PHONY: test-fast
test-fast: packages ## Tests that need neither root nor a bundle
	cargo test --release --workspace

.PHONY: test-guests
test-guests: guest-packages ## Tests on virtual machines with disks of their own (minutes, as root)
	INGOT_GUEST_TESTS=1 cargo test --release --workspace --test guests

.PHONY: ssh-packages
ssh-packages: ## The same for the packages that `make ssh-matrix` needs
	@$(call install_packages,$(SSH_PACKAGES))

# sshd of the machine itself is not needed and not touched: servers run on ports of the loopback, with users
# that exist in a mount namespace only.
.PHONY: ssh-matrix
ssh-matrix: packages ssh-packages ## `ssh` and ours side by side on a real sshd; 48 hosts behind one jump host, 20 times (minutes, as root)
	INGOT_HOST_TESTS=1 INGOT_SSH_RUNS=20 cargo test --release --workspace --test real_sshd -- --nocapture --test-threads 1

.PHONY: storage-bundle
storage-bundle: build $(KEY) ## Build the ISO that has volumes on the disks of nodes, too
	$(TARGET)/iso-builder build --catalog images/catalog-storage.yaml --key $(KEY) --output $(STORAGE_ISO)

# csi-sanity is built on the first run, and one of its runs takes an API server from the bundle. On the simulator
# it takes minutes; the guests take more than an hour:
# csi-sanity, deaths, power cuts and disk faults on real LVM.
.PHONY: storage-test
storage-test: storage-bundle guest-packages pod-on-lvm ## The volume driver: model, capacity, csi-sanity, deaths and faults on the simulator and on real LVM (as root)
	INGOT_BUNDLE=$(CURDIR)/$(STORAGE_ISO) INGOT_TOOL_TESTS=1 INGOT_GUEST_TESTS=1 cargo test --release --workspace --test model --test backends --test driver -- --nocapture --test-threads 1

.PHONY: pod-on-lvm
pod-on-lvm: storage-bundle guest-packages ## A pod with a volume, on a cluster whose worker is a virtual machine with disks (as root)
	INGOT_BUNDLE=$(CURDIR)/$(STORAGE_ISO) INGOT_HOST_TESTS=1 INGOT_GUEST_TESTS=1 \
	  cargo test --release --workspace --test pod_on_lvm -- --nocapture

.PHONY: change-test
change-test: bundle ## Changes of clusters that run, under a stream of requests (five minutes, as root)
	INGOT_HOST_TESTS=1 INGOT_CHANGE_TESTS=1 cargo test --release --workspace --test changes_go_in_waves --test control_planes_come_and_go -- --nocapture

# Kubernetes' own tests and the images they run come from a bundle of their own. Logs and reports stay below target/.
.PHONY: conformance
conformance: bundle ## Kubernetes' conformance tests on a control plane and two workers (an hour or more, as root)
	$(TARGET)/iso-builder build --catalog images/catalog-conformance.yaml --key $(KEY) --output $(CONFORMANCE_ISO)
	INGOT_HOST_TESTS=1 INGOT_CONFORMANCE_BUNDLE=$(CURDIR)/$(CONFORMANCE_ISO) INGOT_CONFORMANCE_REPORTS=$(CURDIR)/target/conformance \
	  cargo test --release --workspace --test conformance -- --nocapture

.PHONY: soak
soak: bundle ## Interrupted bootstraps from bare hosts, at every point and at instants between (half an hour, as root)
	INGOT_HOST_TESTS=1 INGOT_SOAK=1 cargo test --release --workspace --test soak_interrupted_bootstrap -- --nocapture

.PHONY: bench
bench: bundle guest-packages ## Print every number beside its comparison, as a table and as JSON (as root)
	tests/bench/run

.PHONY: reproduce
reproduce: bundle ## Build everything once more from nothing and compare the bytes with the bundle's (half an hour)
	$(TARGET)/iso-builder reproduce --catalog $(CATALOG) --with $(ISO) --trust $(PUB) --key $(KEY)

.PHONY: lint
lint: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

.PHONY: deny
deny: ## Licences, sources and advisories of dependencies; without a way to the advisories, `CHECKS="licenses bans sources"`
	@command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	cargo deny check $(CHECKS)

.PHONY: golden
golden: build ## Rewrite golden outputs and generated references; read the difference before committing
	UPDATE_GOLDEN=1 INGOT_UPDATE_GOLDEN=1 cargo test --release --workspace
