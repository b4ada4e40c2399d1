# What a person and CI call; `make help` lists it.

HOST     := $(shell rustc --print host-tuple)
# One static binary that runs on any node, with musl: at its start glibc asks the processor for its caches and features,
# which a virtual one answers in 0.2 ms. Where Rust's library for musl cannot be had (`scripts/setup` says so), it is glibc after all.
MUSL     := $(subst -gnu,-musl,$(HOST))
has       = $(shell [ ! -d "$$(rustc --print target-libdir --target $(1))" ] || echo $(1))
NATIVE    = $(or $(call has,$(MUSL)),$(HOST))
TARGET    = $(NATIVE)
# The one that tests and people run. One for another kind of machine stays where cargo puts it.
BINARY   := target/release/cniscope
# Static position-independent code costs 0.06 ms at every start, spent on relocation; getrandom asks the kernel itself, since
# its fallback for old ones is code that no supported one takes; and to ask a virtual CPU what it can do costs sha2 more than
# it hashes in a call, as does its code unrolled. The linker is Rust's own; its scripts keep together what a call runs.
STATIC   := -C target-feature=+crt-static -C relocation-model=static --cfg getrandom_backend="linux_raw" \
	--cfg sha2_backend="soft" --cfg sha2_backend_soft="compact" -C link-arg=-fuse-ld=lld \
	-C link-arg=-B$(shell rustc --print sysroot)/lib/rustlib/$(HOST)/bin/gcc-ld \
	-C link-arg=-Wl,-T,$(CURDIR)/scripts/hot.ld -C link-arg=-Wl,-T,$(CURDIR)/scripts/aside.ld
# Functions that are the same are there once.
FOLDED   := -C link-arg=-Wl,--icf=all
CARGO    := cargo
# The C compiler, which links and which ring's C needs: ring uses nothing of a C library. For other machines by Debian's names.
CC_NAME   = $(if $(filter $(NATIVE),$(TARGET)),gcc,$(firstword $(subst -, ,$(TARGET)))-linux-gnu-gcc)
TOOLS     = CC_$(subst -,_,$(TARGET))=$(CC_NAME) CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_LINKER=$(CC_NAME)
export CARGO_TERM_COLOR ?= auto

.PHONY: help build demo test test-kubernetes bench lint unit calls node hot fuzz deny setup-% clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 18

build: setup-build ## the static binary, target/release/cniscope; make build TARGET=aarch64-unknown-linux-musl
	@RUSTFLAGS='$(STATIC) $(FOLDED)' $(TOOLS) $(CARGO) build --quiet --release --locked --target $(TARGET)
	@[ $(TARGET) != $(NATIVE) ] || \
		{ install -D -m 0755 target/$(TARGET)/release/cniscope $(BINARY).new && mv $(BINARY).new $(BINARY); }

demo: setup-demo build ## the main job with real plugins, in namespaces of its own (root)
	@scripts/demo

test: setup-test build lint unit calls node ## everything but the longer tiers (root)

lint: ## formatting and clippy
	@$(CARGO) fmt --check
	@$(CARGO) clippy --quiet --locked --all-targets -- -D warnings

unit: ## the tests beside the code
	@$(CARGO) test --quiet --locked --lib

calls: build ## tests/: the binary with scripted delegates
	@$(CARGO) build --quiet --locked --examples
	@$(CARGO) test --quiet --locked --test calls

node: build ## integration/: namespaces, cnitool, real plugins, a real runtime (root)
	@$(CARGO) build --quiet --locked --examples
	@$(CARGO) test --quiet --locked --test node -- --test-threads 1

test-kubernetes: setup-kubernetes build ## integration/kubernetes/: a real Kubernetes node; the first time it is built from source (root)
	@$(CARGO) test --quiet --locked --test kubernetes -- --test-threads 1 --nocapture

bench: setup-bench build ## what a call costs, and a large journal, side by side with the alternatives (root)
	@mkdir -p target/bench
	@for program in noop bare peak; do gcc -O2 -Wall -Werror -static -o target/bench/$$program benches/$$program.c || exit; done
	@RUSTFLAGS='$(STATIC) $(FOLDED)' $(TOOLS) $(CARGO) bench --quiet --locked --target $(TARGET) --bench calls --bench journal

hot: setup-hot ## scripts/hot.ld, the order of the code in the binary, from calls that valgrind watches (root)
	@mkdir -p target/bench && gcc -O2 -Wall -Werror -static -o target/bench/noop benches/noop.c
	@RUSTFLAGS='$(STATIC) -C link-arg=-Wl,-Map=$(CURDIR)/target/hot.map --cfg watched' \
		$(TOOLS) $(CARGO) build --quiet --release --locked --target $(TARGET) --target-dir target/hot
	@scripts/hot target/hot/$(TARGET)/release/cniscope target/hot.map target/bench/noop

# Coverage as cargo-fuzz switches it on; libFuzzer does with what a stable compiler gives.
FUZZED   := -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
	-C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table --cfg fuzzing
# For how long each target runs.
SECONDS  := 20

fuzz: setup-fuzz ## what comes from outside, at random: make fuzz SECONDS=600
	@RUSTFLAGS='$(FUZZED)' $(CARGO) build --quiet --release --locked --target $(HOST) --manifest-path fuzz/Cargo.toml
	@for target in explain stdin journal node; do \
		mkdir -p fuzz/corpus/$$target && echo "fuzz: $$target, $(SECONDS) s" && \
		fuzz/target/$(HOST)/release/$$target -max_total_time=$(SECONDS) -max_len=16384 -timeout=5 -verbosity=0 \
			-artifact_prefix=fuzz/found- fuzz/corpus/$$target >fuzz/target/$$target.log 2>&1 || \
			{ cat fuzz/target/$$target.log; exit 1; }; \
	done

deny: setup-deny ## licences, bans and sources of the dependencies
	@PATH=$(CURDIR)/.tools/bin:$$PATH cargo deny --log-level error check licenses bans sources

setup-%:
	@scripts/setup $*

clean: ## removes what was built; .tools stays
	@$(CARGO) clean
