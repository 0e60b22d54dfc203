# Benchmarks: `make bench SUITE=capture`. Not a part of `make test`: they take long, and what
# they say of time depends on what else the machine does.

BENCH_OUT := build/tests/bench
BENCH_PROGRAMS := timed avmllike

# $(1) architecture
define bench_rule
$(BENCH_OUT)/$(1)/%: tests/bench/%.c mk/config.mk mk/bench.mk $(TOOLCHAIN_$(1))
	@mkdir -p $$(@D)
	@echo "  CC      $$< ($(1))"
	@$(CC_$(1)) $(CFLAGS_COMMON) $(LDFLAGS_COMMON) -o $$@ $$<
endef
$(foreach arch,$(ARCHES),$(eval $(call bench_rule,$(arch))))

# What tests/bench/tls.sh measures.
$(BENCH_OUT)/x86_64/tls: build/release/x86_64/obj/tests/bench/tls.o build/release/x86_64/libfvol.a
	@mkdir -p $(@D)
	@$(CC_x86_64) $(LDFLAGS_COMMON) -o $@ $^ -Lbuild/deps/x86_64/lib $(HTTP_LIBS:%=-l%)
bench-programs: $(BENCH_OUT)/x86_64/tls

# SHA-256 as it is released.
$(BENCH_OUT)/x86_64/sha256: build/release/x86_64/obj/tests/bench/sha256.o \
		build/release/x86_64/libfvol.a
	@mkdir -p $(@D)
	@$(CC_x86_64) $(LDFLAGS_COMMON) -o $@ $^ -Lbuild/deps/x86_64/lib -lmbedcrypto

bench-programs: $(BENCH_OUT)/x86_64/sha256
bench-programs: $(foreach arch,$(ARCHES),$(BENCH_PROGRAMS:%=$(BENCH_OUT)/$(arch)/%))
.PHONY: bench-programs

# The stages of a conversion alone: the very library that the tools are linked with.
$(BENCH_OUT)/x86_64/stages: tests/bench/stages.c tests/bench/memlike.h \
		build/release/x86_64/libfvol.a mk/bench.mk
	@mkdir -p $(@D)
	@echo "  CC      $< (x86_64)"
	@$(CC_x86_64) $(CFLAGS_COMMON) $(LDFLAGS_COMMON) -o $@ $(filter %.c %.a,$^) \
		-Lbuild/deps/x86_64/lib $(LIBS_capture:%=-l%)

# What a suite needs, where it is not all of it.
BENCH_NEEDS := $(TOOL_BINARIES) $(IMAGE) out/kmods/catalogue.json vm-tools bench-programs \
	build/kernels/stamp-images build/stamps/packages-test build/stamps/packages-build
BENCH_NEEDS_compress := build/release/x86_64/bin/compress build/tests/bench/host/snappy \
	$(BENCH_OUT)/x86_64/stages $(BENCH_OUT)/x86_64/timed build/stamps/packages-bench
BENCH_NEEDS_kmods := $(KMODS) $(USED_LOCK) build/lime/used
BENCH_NEEDS_symbols := build/release/x86_64/bin/symbols $(BENCH_OUT)/x86_64/timed \
	build/kernels/stamp-images build/stamps/packages-bench
BENCH_NEEDS_upload := build/release/x86_64/bin/upload $(BENCH_OUT)/x86_64/sha256 \
	build/stamps/packages-test
BENCH_NEEDS_image := $(IMAGE) $(BENCH_OUT)/x86_64/timed build/stamps/packages-test
BENCH_NEEDS_publish := $(IMAGE) build/stamps/packages-test
BENCH_NEEDS_hash := build/release/x86_64/bin/hash $(BENCH_OUT)/x86_64/sha256
BENCH_NEEDS_triage := build/release/x86_64/bin/triage $(TRIAGE_PLANTS) \
	build/stamps/packages-test

# SUITE= names tests/bench/SUITE.sh, BENCH_ARGS= are its options.
SUITE ?= capture
bench: $(or $(BENCH_NEEDS_$(SUITE)),$(BENCH_NEEDS))
	@sh tests/bench/$(SUITE).sh $(BENCH_ARGS)
.PHONY: bench
