# The library for release: libeventsource.so and libeventsource.a.
CARGO ?= cargo
CARGO_TARGET_DIR ?= target
RELEASE = $(CARGO_TARGET_DIR)/release
CFLAGS ?= -O2 -Wall -Wextra -Wpedantic
export CARGO_TARGET_DIR

library:
	$(CARGO) rustc --release --locked --lib --crate-type cdylib,staticlib
	ln -sf libeventsource.so $(RELEASE)/libeventsource.so.0

# A C program follows a real stream through lost connections.
demo: library
	$(CC) -std=c99 $(CFLAGS) -Iinclude -o $(RELEASE)/listen examples/listen.c \
		-L$(RELEASE) -leventsource -pthread -Wl,-rpath,'$$ORIGIN'
	$(CARGO) run --locked --example demo -- $(RELEASE)/listen

test:
	$(CARGO) test --locked --no-fail-fast

bench: library
	$(CARGO) bench --locked

clean:
	$(CARGO) clean

.PHONY: library demo test bench clean
