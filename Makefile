# The front door. `make help` lists what there is.

PREFIX     ?= /usr/local
LIBDIR     ?= lib
INCLUDEDIR ?= include
PYTHON     ?= python3
CARGO      ?= cargo
CC         ?= cc
CFLAGS     ?= -O2 -g

TARGET  := $(or $(CARGO_TARGET_DIR),target)
DIST    := $(TARGET)/dist
BUILT   := $(DIST)/.built
VENV    := .venv
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

SOURCES := Cargo.toml Cargo.lock build.rs abi/symbols.txt packaging/stage.py reactor/Cargo.toml \
           $(shell find src reactor/src -name '*.rs')
WARN    := -std=c99 -Wall -Wextra -Wpedantic -Werror
LINK    := -Iinclude -L$(DIST) -Wl,-rpath,$(abspath $(DIST)) -pthread
INSTALL  = $(PYTHON) packaging/install.py --version $(VERSION) --dist $(DIST) --prefix '$(PREFIX)' \
           --destdir '$(DESTDIR)' --libdir '$(LIBDIR)' --includedir '$(INCLUDEDIR)'

# The echo servers of `make bench-core`. What is not installed is left out, and bench/echo.py says so.
ECHO := $(addprefix $(TARGET)/bench/, load echo_epoll echo_tidegate echo_uv echo_libevent)

.DEFAULT_GOAL := help
.PHONY: help lib header demo test check test-tools install uninstall bench-core clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  make install takes PREFIX, DESTDIR, LIBDIR and INCLUDEDIR."

lib: $(BUILT) ## build the C library into target/dist

# Without the default features: generating the header is `make header`, and not part of every build.
$(BUILT): $(SOURCES)
	$(CARGO) build --release --locked --no-default-features
	$(PYTHON) packaging/stage.py --version $(VERSION) --cargo-output $(TARGET)/release --dist $(DIST)
	@touch $@

header: ## regenerate include/tidegate.h from src/
	$(CARGO) check --locked --features header

DEMO = 05_callback_echo 16_upper_echo 17_ok_response 18_chat_sb
demo: $(DEMO:%=$(TARGET)/c_examples/%) ## start the sample servers and talk to each as a client
	@TIDEGATE_LIBRARY=$(abspath $(DIST))/libtidegate.so $(PYTHON) tools/demo.py --c-programs $(TARGET)/c_examples

test: test-tools ## every test; ends with one line: N passed, N failed
	@$(PYTHON) tests/run.py

check: test-tools ## the quick tests, to be run before every commit
	@$(PYTHON) tests/run.py --quick

test-tools: $(BUILT) $(VENV)/.ready

install: $(BUILT) ## install library, header, pkg-config file and CMake package
	@$(INSTALL)

uninstall: ## remove what install wrote (give the same variables)
	@$(INSTALL) --uninstall

bench-core: $(TARGET)/bench/core $(ECHO) ## time the engine's timers and calls, and echo servers beside those of its peers
	$(CARGO) bench --locked -p tidegate-reactor --bench timers
	$<
	$(PYTHON) bench/echo.py --dir $(TARGET)/bench
	$(PYTHON) bench/echo.py --dir $(TARGET)/bench --flood
	-$(PYTHON) bench/echo.py --dir $(TARGET)/bench --instructions

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf $(DIST) $(VENV) dist

$(TARGET)/c_examples/%: c_examples/%.c include/tidegate.h $(BUILT)
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) $< -o $@ $(LINK) -ltidegate

$(TARGET)/bench/%: bench/%.c include/tidegate.h $(BUILT)
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) $< -o $@ $(LINK) -ltidegate

$(TARGET)/bench/echo_tidegate: bench/echo/echo_tidegate.c include/tidegate.h $(BUILT)
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) $< -o $@ $(LINK) -ltidegate

$(TARGET)/bench/load $(TARGET)/bench/echo_epoll: $(TARGET)/bench/%: bench/echo/%.c bench/echo/echo.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) $< -o $@

$(TARGET)/bench/echo_uv $(TARGET)/bench/echo_libevent: $(TARGET)/bench/echo_%: bench/echo/echo_%.c bench/echo/echo.h
	@mkdir -p $(@D)
	@if printf '#include <%s>\n' $(if $(findstring uv,$*),uv.h,event2/event.h) | $(CC) -D_GNU_SOURCE -E - >/dev/null 2>&1; then \
	  $(CC) $(WARN) $(CFLAGS) $< -o $@ $(if $(findstring uv,$*),-luv,-levent) -pthread; fi

$(VENV)/.ready: python/requirements-dev.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv and ensurepip modules are missing (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
