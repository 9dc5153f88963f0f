CARGO ?= cargo
RUSTC ?= rustc
CARGO_TARGET_DIR ?= target
RELEASE = $(CARGO_TARGET_DIR)/release
CFLAGS ?= -O2 -Wall -Wextra -Wpedantic
export CARGO_TARGET_DIR

# For release: libeventsource.so, its name for the linker, libeventsource.a.
library:
	$(CARGO) rustc --release --locked --lib --crate-type cdylib,staticlib
	ln -sf libeventsource.so $(RELEASE)/libeventsource.so.0

# A C program follows a stream through lost connections. The demo's server
# takes nothing but std; cargo would build the tests' dependencies for it.
demo: library
	$(CC) -std=c99 $(CFLAGS) -Iinclude -o $(RELEASE)/listen examples/listen.c \
		-L$(RELEASE) -leventsource -pthread -Wl,-rpath,'$$ORIGIN'
	$(RUSTC) --edition 2024 -o $(RELEASE)/demo examples/demo.rs
	$(RELEASE)/demo $(RELEASE)/listen

test:
	$(CARGO) test --locked --no-fail-fast

bench:
	$(CARGO) bench --locked

clean:
	$(CARGO) clean

.PHONY: library demo test bench clean
