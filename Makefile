# `make run` needs only Go. `make test` installs what it needs if it runs as root.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

# Debian packages that the tests need besides Go: compilers, and programs to talk to.
PACKAGES = clang llvm libbpf-dev gcc libc6-dev iproute2 haproxy nginx-light libnginx-mod-stream iptables nftables ncat unbound knot openssh-server dnsperf dnsmasq-base curl systemd qemu-system-x86 busybox-static kmod xz-utils openssl python3 logrotate prometheus tmux man-db bird2 frr pgbouncer etcd-server etcd-client

# Debian packages of the programs that the benchmarks compare anyport with.
PEERS = haproxy nginx-light libnginx-mod-stream iptables iproute2

# Debian packages of the servers that read PROXY headers in `make suites`.
READERS = apache2 dnsdist dovecot-imapd haproxy knot nginx-light postfix unbound

# Debian packages for `make browser`, which are 100 MB to fetch. Where they are, the tests of the dashboard
# are among the others, too.
BROWSER = chromium chromium-driver

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Debian packages that `make package-test` needs.
PACKAGING = debootstrap lintian qemu-user-static man-db

# Packages whose tests need no clang; those that need root are skipped without it. The race detector watches
# the tests of those with goroutines. It would make the others some times slower, for nothing. The longest
# come first.
PURE       = $(shell $(GO) list ./steering ./proxy/tcp ./cmd/anyport/internal/daemon ./steering/... ./cmd/... ./proxy/... ./config/... ./docs)
CONCURRENT = $(shell grep -rlE '"sync|golang.org/x/sync|^\s+go \w' --include='*.go' steering cmd proxy | xargs -n 1 dirname | sort -u | sed 's|^|anyport/|')
RACE       = $(filter $(CONCURRENT),$(PURE))
SEQUENTIAL = $(filter-out $(CONCURRENT),$(PURE))

# Files with tests of what something costs, which the race detector would change.
COSTS = $(shell grep -rl '^//go:build !race' --include='*_test.go' steering cmd proxy)

# How long each target is fuzzed, three at once. `make test` runs their seeds alone.
FUZZTIME ?= 60s

# Tests that have a long form, or that only `make soak` runs (TestSoakRunsAll).
SOAK = Storm|Pinned|Death|FastPath|AgainstModel|DNS|QUIC|Game|Upgrade|Conversations|Agree|ManyPrefixes|TakenAway|Judges|OriginsFail|ManyConns|SwitchBack|ServiceRestarts|Knock|ManyRoutes|FleetTables|FleetFaults|NoSpace|DiskFull|StateFull|TestPeers|HoursWithout|SourceAway|LastHost|OneName|TableKills|FilesThatAreNone|PushKilled|SweepOfOneClient|LoweredLimit|ManyChecks|SlowReader|OldProxyDies|StalledReaders|Questions|GreedyClient

# Where `make install` puts things: DESTDIR is a staging directory of packagers. It installs BINARY, or
# what it builds. If that is for another architecture, NATIVE is an anyport that runs here.
PREFIX  ?= /usr/local
DESTDIR ?=
BINARY  ?=
NATIVE  ?= $(installed)/bin/anyport
installed = $(DESTDIR)$(PREFIX)

# A static binary runs on a host with any C library, or none.
export CGO_ENABLED = 0

# For tests as for the binary, so that each package is compiled once. gRPC's page of traces, which anyport does not
# serve, would bring text/template: 4.7 MB (TestUnusedMethods).
export GOFLAGS := $(shell $(GO) env GOFLAGS) -trimpath -tags=grpcnotrace

.PHONY: anyport install deb package-test run test unit integration kernel kernels lint packages sweep browser suites soak bench fuzz generate generated clean help
.DEFAULT_GOAL = anyport

anyport: ## build the binary
	$(GO) build -ldflags '-s -w -X main.release=$(VERSION)' -o anyport ./cmd/anyport

install: $(if $(BINARY),,anyport) ## install binary, unit, manual, completions, documents (PREFIX, DESTDIR)
	install -D -m 755 $(or $(BINARY),anyport) $(installed)/bin/anyport
	install -d $(installed)/lib/systemd/system $(installed)/share/bash-completion/completions \
		$(installed)/share/zsh/site-functions $(installed)/share/fish/vendor_completions.d \
		$(installed)/share/man/man8 $(installed)/share/man/man5
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' deploy/systemd/anyport.service > $(installed)/lib/systemd/system/anyport.service
	$(NATIVE) completion bash > $(installed)/share/bash-completion/completions/anyport
	$(NATIVE) completion zsh > $(installed)/share/zsh/site-functions/_anyport
	$(NATIVE) completion fish > $(installed)/share/fish/vendor_completions.d/anyport.fish
	$(NATIVE) man anyport.8 > $(installed)/share/man/man8/anyport.8
	$(NATIVE) man anyport.toml.5 > $(installed)/share/man/man5/anyport.toml.5
	install -D -m 644 -t $(installed)/lib/sysusers.d deploy/sysusers.d/anyport.conf
	install -D -m 644 -t $(installed)/lib/tmpfiles.d deploy/tmpfiles.d/anyport.conf
	install -D -m 644 -t $(installed)/share/doc/anyport LICENSE README.md deploy/NOTICE config/reference.toml
	install -D -m 644 -t $(installed)/share/doc/anyport/docs docs/*.md docs/*.svg docs/*.png
	for part in tutorial how-to reference explanation; do \
		install -D -m 644 -t $(installed)/share/doc/anyport/docs/$$part docs/$$part/* || exit; done
	install -D -m 644 -t $(installed)/share/anyport/prometheus deploy/prometheus/*.yml
	install -D -m 644 -t $(installed)/share/anyport/grafana deploy/grafana/anyport.json

deb: ## build packages for Debian in build/, for amd64 and arm64
	VERSION='$(VERSION)' deploy/debian/build amd64 build
	VERSION='$(VERSION)' deploy/debian/build arm64 build

run: anyport ## build it and run anyport demo
	@./anyport demo || [ "$$(id -u)" -ne 0 ]

test: packages lint generated unit integration kernel ## everything that must pass before a change is merged

unit: ## the tests of all but bpf, deploy and integration, with the race detector; as root all of them
	@if [ "$$(id -u)" -eq 0 ]; then export REQUIRE_ROOT=1; fi; \
	$(GO) test -vet=off -p 4 $(SEQUENTIAL) && CGO_ENABLED=1 $(GO) test -vet=off -race -p 4 -timeout 14m $(RACE) && \
	$(GO) test -vet=off -run "^($$(grep -ho '^func Test\w*' $(COSTS) | cut -c6- | paste -sd'|'))\$$" $(addprefix ./,$(sort $(dir $(COSTS))))

integration: ## the tests of bpf and deploy, and of the built binary in network namespaces
	@if [ "$$(id -u)" -eq 0 ]; then set -x; \
		REQUIRE_ROOT=1 $(GO) test -vet=off -timeout 14m -parallel 6 ./bpf/... ./deploy/... ./integration/...; \
	else \
		echo 'not root: BPF and namespace tests are skipped; to run them: sudo make test'; \
	fi

kernel: packages ## start, reload and upgrade on Linux 6.1 of Debian 12, in an emulator
	$(GO) run ./integration/kernels -short bookworm

kernels: packages ## the same and the tests on Linux 5.10, 6.1, 6.12 and Debian's newest, an hour
	$(GO) run ./integration/kernels

lint: ## gofmt, vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

packages: ## install missing packages (Debian, as root) without starting services
	@.ci/packages $(PACKAGES)

sweep: ## every port over TCP and UDP, IPv4 and IPv6, through the binary
	REQUIRE_ROOT=1 ANYPORT_SWEEP=all $(GO) test -count=1 -v -timeout 30m -run TestSweep ./integration

browser: ## the dashboard in Chromium, and its pictures for docs
	@.ci/packages $(PACKAGES) $(BROWSER)
	REQUIRE_ROOT=1 ANYPORT_BROWSER=1 ANYPORT_SCREENSHOTS=$(CURDIR)/docs $(GO) test -count=1 -v -timeout 10m -run TestDashboard ./integration

suites: ## the standard library's own tests, through the proxy, and servers of others that read its headers
	@.ci/packages $(READERS)
	REQUIRE_ROOT=1 ANYPORT_SUITES=1 $(GO) test -count=1 -v -timeout 30m -run TestSuites ./integration

package-test: ## build the packages twice, check them with lintian, install them in a bare root; build as others do
	@.ci/packages $(PACKAGING)
	REQUIRE_ROOT=1 ANYPORT_PACKAGE=1 $(GO) test -count=1 -v -timeout 20m -run 'TestPackage|TestPlainBuild' ./integration

soak: ## the long forms of storms, upgrades, kills, conversations and verdicts; the tests with the fast path on and off
	REQUIRE_ROOT=1 ANYPORT_SOAK=1 ANYPORT_VERDICTS=10000000 ANYPORT_PREFIXES=1000000 $(GO) test -p 1 -parallel 4 -count=1 -v -timeout 2h -run '$(SOAK)' ./integration ./proxy/tcp ./proxy/header ./steering ./steering/fastpath ./steering/fleet
	REQUIRE_ROOT=1 ANYPORT_FAST_PATH=auto $(GO) test -count=1 -timeout 30m -parallel 4 ./integration
	REQUIRE_ROOT=1 ANYPORT_FAST_PATH=off $(GO) test -count=1 -timeout 30m -parallel 4 ./integration

bench: ## compare it with HAProxy, nginx and others, about an hour: docs/benchmarks.md
	@.ci/packages $(PEERS)
	$(GO) run ./integration/bench -markdown docs/benchmarks.md -svg docs/benchmarks.svg all

fuzz: ## run each fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

generate: ## compile the BPF programs (clang, libbpf-dev)
	$(GO) generate ./...

generated: ## check that the committed BPF objects match the source, if clang is installed
	@.ci/generated

clean: ## remove what was built
	rm -rf anyport build coverage.out

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
