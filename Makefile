CARGO ?= cargo
RUSTC ?= rustc
OBJCOPY ?= objcopy
CARGO_TARGET_DIR ?= target
RELEASE = $(CARGO_TARGET_DIR)$(CARGO_BUILD_TARGET:%=/%)/release
CFLAGS ?= -O2 -Wall -Wextra -Wpedantic
export CARGO_TARGET_DIR

PREFIX ?= /usr/local
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man
PKGCONFIGDIR = $(LIBDIR)/pkgconfig
CMAKEDIR = $(LIBDIR)/cmake/eventsource
DOCDIR = $(PREFIX)/share/doc/libeventsource
D = $(DESTDIR)
VERSION := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
SO = libeventsource.so
SONAME = $(SO).$(firstword $(subst ., ,$(VERSION)))
HEADERS = include/eventsource.h bindings/cpp/eventsource.hpp
CMAKE = eventsource-config.cmake eventsource-config-version.cmake
DOCS = README.md STANDARD.md SECURITY.md CHANGELOG.md LICENSE-MIT \
	LICENSE-APACHE LICENSE-THIRD-PARTY examples/listen.c examples/listen.cpp
# A template with the version, and with directories as far as a prefix that
# may be moved.
FILL = sed -e 's|@VERSION@|$(VERSION)|' -e 's|@PREFIX@|$(PREFIX)|' \
	-e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|'
NAMES = sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z_]*\).*/\1/p'

# For release: libeventsource.so, its name for programs, libeventsource.a. The
# archive is made one object that shares only what the header declares: what
# Rust brings along would collide with another Rust library in one program.
library:
	$(CARGO) rustc --release --locked --lib --crate-type cdylib,staticlib
	ln -sf $(SO) $(RELEASE)/$(SONAME)
	$(LD) -r --whole-archive $(RELEASE)/libeventsource.a -o $(RELEASE)/all.o
	$(OBJCOPY) --strip-unneeded --wildcard --keep-global-symbol='eventsource_*' \
		-R .group -R .llvmbc -R .llvmcmd $(RELEASE)/all.o
	rm $(RELEASE)/libeventsource.a
	$(AR) rcs $(RELEASE)/libeventsource.a $(RELEASE)/all.o
	rm $(RELEASE)/all.o

# A C program follows a stream through lost connections. The demo's server
# takes nothing but std; cargo would build the tests' dependencies for it.
demo: library
	$(CC) -std=c99 $(CFLAGS) -Iinclude -o $(RELEASE)/listen examples/listen.c \
		-L$(RELEASE) -leventsource -pthread -Wl,-rpath,'$$ORIGIN'
	$(RUSTC) --edition 2024 -o $(RELEASE)/demo examples/demo.rs
	$(RELEASE)/demo $(RELEASE)/listen

test:
	$(CARGO) test --locked --no-fail-fast

# The tests of sources, built as the library is for its users: what inlining and
# reordering break shows here alone.
test-release:
	$(CARGO) test --release --locked --lib --test source

# The tests of sources, in memory that is watched; fuzz has the parser. What they
# leave behind on purpose, as what callbacks remember, is no leak, and would make
# tests that run alone say something; valgrind looks for leaks.
sanitize:
	ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
		CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/sanitize $(CARGO) test --locked \
		--target $(shell $(RUSTC) -vV | sed -n 's/^host: //p') \
		--lib --test source --test faults

# Every order in which threads can meet; of the queue's, those of few preemptions.
models:
	cd models && CARGO_TARGET_DIR=$(abspath $(CARGO_TARGET_DIR))/models \
		$(CARGO) test --locked

# Each target of fuzz/ for TIME seconds.
fuzz: TIME ?= 60
fuzz:
	fuzz/run $(TIME)

# A thousand sources for TIME seconds; the figures are in tmp/soak.csv, beside
# release.
soak: TIME ?= 1800
soak:
	SOAK=$(TIME) $(CARGO) test --release --locked --test soak -- --nocapture

bench: library
	$(CARGO) bench --locked --bench parser --bench stream \
		--bench queue --bench tls --bench idle --bench close

# This library beside six other clients, which are fetched by name and built:
# needs libcurl's header, Go and npm. SHAPES says which streams.
PEERS = $(abspath $(CARGO_TARGET_DIR))/peers
compare: library
	benches/peers/build $(PEERS) $(abspath $(RELEASE))
	PEERS=$(PEERS) $(CARGO) bench --locked --bench compare

# Copies what `make` built: root may have no Rust. The prefix is known only now,
# so this is where it is written down. A manual page has a link for each name.
install: $(RELEASE)/$(SO)
	install -d $(D)$(INCLUDEDIR) $(D)$(LIBDIR) $(D)$(PKGCONFIGDIR) \
		$(D)$(CMAKEDIR) $(D)$(MANDIR)/man3 $(D)$(DOCDIR)
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
	test -n "$(DESTDIR)" || ldconfig || true

uninstall:
	cd $(D)$(INCLUDEDIR) && rm -f $(notdir $(HEADERS))
	cd $(D)$(LIBDIR) && rm -f libeventsource.a $(SO) $(SONAME) $(SO).$(VERSION)
	rm -f $(D)$(PKGCONFIGDIR)/eventsource.pc
	for name in `$(NAMES) man/*.3`; do \
		rm -f $(D)$(MANDIR)/man3/$$name.3; \
	done
	rm -rf $(D)$(CMAKEDIR) $(D)$(DOCDIR)
	test -n "$(DESTDIR)" || ldconfig || true

$(RELEASE)/$(SO):
	$(MAKE) library

# The manual for a browser: index.html in html, beside release.
html:
	packaging/html $(CARGO_TARGET_DIR)/html

# Packages for Debian, beside release; deb-test installs them in an empty one.
deb: $(RELEASE)/$(SO)
	packaging/deb $(CARGO_TARGET_DIR)/deb

deb-test: demo deb
	packaging/deb-test $(CARGO_TARGET_DIR)/deb

# What `cargo cinstall` installs is the same; needs cargo-c.
parity: library
	packaging/parity $(CARGO_TARGET_DIR)/parity

clean:
	$(CARGO) clean

.PHONY: library demo test test-release sanitize models fuzz soak bench compare install \
	uninstall html deb deb-test parity clean
