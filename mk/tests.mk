# Tests. Unit tests, fuzz regressions and the instruments are built for this machine under
# the address and undefined-behaviour sanitizers; everything else tests what was released.

HOST_STAMPS := $(foreach dep,$(DEPS_host),$(call dep_stamp,host,$(dep)))
HOST_LIBS := -Lbuild/deps/host/lib -lexpat -lyyjson $(HTTP_LIBS:%=-l%) -lzstd -llzma -llz4 -lz

build/check/obj/%.o: %.c mk/config.mk $(HOST_STAMPS)
	@mkdir -p $(@D)
	@echo "  CC      $< (check)"
	@$(CC_HOST) $(CFLAGS_CHECK) -isystem build/deps/host/include -MMD -MP -c -o $@ $<

build/check/libfvol.a: $(LIB_SRC:%.c=build/check/obj/%.o)
	@rm -f $@
	@ar crD $@ $^

UNIT_TESTS := $(patsubst tests/unit/%.c,build/check/bin/%,$(wildcard tests/unit/test_*.c))
build/check/bin/test_%: build/check/obj/tests/unit/test_%.o \
		build/check/obj/tests/lib/fakeproc.o build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)

build/check/bin/test_kallsyms: build/check/obj/tests/lib/fakekernel.o

# Where triage writes to.
TRIAGE_PLACE := $(patsubst %.c,build/check/obj/%.o,toolkit/triage/contents.c \
	$(wildcard toolkit/triage/place*.c))
build/check/bin/test_place: $(TRIAGE_PLACE)
build/check/bin/test_place: HOST_LIBS := build/check/libfvol.a $(HOST_LIBS)

build/check/bin/mkproc: build/check/obj/tests/cli/mkproc.o \
		build/check/obj/tests/lib/fakeproc.o
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^
build/check/bin/mkplace: build/check/obj/tests/cli/mkplace.o $(TRIAGE_PLACE) \
		build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)
build/check/bin/settle: build/check/obj/tests/image/settle.o build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,build/check/bin/%,$(wildcard tests/fuzz/fuzz_*.c))
build/check/bin/fuzz_%: build/check/obj/tests/fuzz/fuzz_%.o \
		build/check/obj/tests/fuzz/main.o build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)

# compress's room of the archive library, once more before the objects that it needs.
build/check/bin/fuzz_bundle: build/check/obj/toolkit/compress/tar.o \
		build/check/obj/toolkit/compress/listing.o
build/check/bin/fuzz_bundle: HOST_LIBS := build/check/libfvol.a -Lbuild/deps/host/lib \
	$(LIBS_compress:%=-l%)
build/check/bin/compress: $(SRC_compress:%.c=build/check/obj/%.o) build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ -Lbuild/deps/host/lib $(LIBS_compress:%=-l%)
test-programs: build/check/bin/compress

# symbols' own readers, likewise.
build/check/bin/fuzz_isf: build/check/obj/toolkit/symbols/check.o \
		build/check/obj/toolkit/symbols/load.o build/check/obj/toolkit/symbols/dump.o \
		build/check/obj/toolkit/symbols/types_module.o
build/check/bin/fuzz_isf build/check/bin/fuzz_package: HOST_LIBS := build/check/libfvol.a \
	-Lbuild/deps/host/lib $(LIBS_symbols:%=-l%)

-include $(wildcard build/check/obj/*/*/*.d)

TEST_PROGRAMS := $(UNIT_TESTS) $(FUZZ_TARGETS) build/check/bin/mkproc \
	build/check/bin/mkplace build/check/bin/settle
test-programs: $(TEST_PROGRAMS)
.PHONY: test-programs

# SHA-256 once more as it is released, for the processors that this machine is not.
$(ARCHES:%=build/tests/%/test_sha256): build/tests/%/test_sha256: \
		build/release/%/obj/tests/unit/test_sha256.o build/release/%/libfvol.a
	@mkdir -p $(@D)
	@$(CC_$*) $(LDFLAGS_COMMON) -o $@ $^ -Lbuild/deps/$*/lib -lmbedcrypto
test-programs: $(ARCHES:%=build/tests/%/test_sha256)

# The guests' agent and the instruments that look at them from outside.
VM_OUT := build/tests/vm
include tests/vm/rules.mk
VM_SRC := $(notdir $(wildcard tests/vm/*.c))
$(VM_SRC:%.c=$(VM_OUT)/host/%.o): | $(HOST_STAMPS)
$(foreach arch,$(ARCHES),$(VM_SRC:%.c=$(VM_OUT)/$(arch)/%.o)): | \
	$(foreach arch,$(ARCHES),$(TOOLCHAIN_$(arch)))

# Kernels that only tests boot, and modules for them.
VM_KERNELS := build/tests/kernels/stamp
$(VM_KERNELS): tests/vm/kernels.lock tests/vm/fetch-kernels.sh $(wildcard tests/vm/*/*.c) \
		kmods/images.sh kmods/fetch.sh out/kmods/catalogue.json $(KMODS) \
		build/kernels/stamp-images
	@echo "  FETCH   kernels of the tests"
	@sh tests/vm/fetch-kernels.sh
	@touch $@

# SUITES= picks suites of tests/run.sh.
test: all test-programs vm-tools build/kernels/stamp-images $(VM_KERNELS) \
		build/stamps/packages-test
	@sh tests/run.sh $(SUITES)
.PHONY: test

demo: all vm-tools build/kernels/stamp-images build/stamps/packages-test
	@sh tests/vm/demo.sh
.PHONY: demo

# What upload reads of others.
UPLOAD_PARSERS := build/check/obj/toolkit/upload/presigned.o \
	build/check/obj/toolkit/upload/records.o
build/check/bin/fuzz_upload: $(UPLOAD_PARSERS)
build/check/bin/fuzz_upload: HOST_LIBS := build/check/libfvol.a $(HOST_LIBS)

# What the tests of triage plant for it to find.
build/tests/triage/%: tests/triage/%.c mk/config.mk $(TOOLCHAIN_x86_64)
	@mkdir -p $(@D)
	@echo "  CC      $< (x86_64)"
	@$(CC_x86_64) $(CFLAGS_COMMON) $(LDFLAGS_COMMON) -o $@ $<
TRIAGE_PLANTS := build/tests/triage/plant build/tests/triage/refuse
test-programs: $(TRIAGE_PLANTS)

# What publish and share read of services and files.
RELEASE_OBJ := $(foreach name,accounts aws blocks blocks_file ebs ec2 ec2_form \
	ec2_snapshots key_policy kms output pool publish_token snapshot_journal share,\
	build/check/obj/image/$(name).o)
RELEASE_FUZZ := fuzz_blocks fuzz_ec2 fuzz_journal fuzz_keypolicy fuzz_ebs
$(RELEASE_FUZZ:%=build/check/bin/%) build/check/bin/test_release: $(RELEASE_OBJ)
$(RELEASE_FUZZ:%=build/check/bin/%) build/check/bin/test_release: HOST_LIBS := build/check/libfvol.a $(HOST_LIBS)

# What triage reads of the system; records go to tests/lib/triagelines.c.
TRIAGE_SYSTEM := $(addprefix build/check/obj/,$(addprefix toolkit/triage/,mountkind.o quiet.o \
	values.o census.o textlines.o redact.o watch.o) tests/lib/triagelines.o)
TRIAGE_KERNEL := $(patsubst %.c,build/check/obj/%.o,$(addprefix toolkit/triage/,bpf.c \
	bpfnames.c hiddenfiles.c files.c kernelhooks.c kernelstate.c modulememory.c modules.c \
	modulesymbols.c modulelog.c moduletext.c moduleviews.c mountplace.c mounts.c oddpath.c sessions.c tracefs.c \
	unitplaces.c units.c unitscan.c unittext.c utmp.c) tests/lib/fakesystem.c)
build/check/bin/test_triage_kernel build/check/bin/test_triage_files \
	build/check/bin/test_triage_units build/check/bin/fuzz_triage_system: $(TRIAGE_KERNEL)
TRIAGE_SYSTEM_CHECKED := $(addprefix build/check/bin/,test_redact test_triage_quiet \
	test_triage_kernel \
	test_triage_files test_triage_units fuzz_triage_system)
$(TRIAGE_SYSTEM_CHECKED): $(TRIAGE_SYSTEM)
$(TRIAGE_SYSTEM_CHECKED): HOST_LIBS := build/check/libfvol.a $(HOST_LIBS)
# What triage makes of its records.
TRIAGE_OUT_OBJ := $(patsubst %.c,build/check/obj/%.o,tests/lib/memplace.c \
	$(wildcard toolkit/triage/report*.c) $(addprefix toolkit/triage/,out.c text.c from.c \
	timesketch.c bodyfile.c varc.c))
build/check/bin/fuzz_triage_from build/check/bin/test_triage_out: $(TRIAGE_OUT_OBJ)
build/check/bin/fuzz_triage_from build/check/bin/test_triage_out: HOST_LIBS := \
	build/check/libfvol.a $(HOST_LIBS)

# The network of every namespace, without the rest of triage.
TRIAGE_NETWORK := $(patsubst %.c,build/check/obj/%.o,$(wildcard toolkit/triage/net*.c)) \
	$(TRIAGE_SYSTEM)
build/check/bin/netcollect: build/check/obj/tests/triage/netcollect.o $(TRIAGE_NETWORK) \
		build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)
test-programs: build/check/bin/netcollect
build/check/bin/test_triage_net: $(TRIAGE_NETWORK)
build/check/bin/test_triage_net: HOST_LIBS := build/check/libfvol.a $(HOST_LIBS)
