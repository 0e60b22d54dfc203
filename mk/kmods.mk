# LiME modules for the kernels of kmods/kernels.lock, built on this machine; KERNELS=all for
# all that the sources of kmods/kernels.list offer.

SRC_kmods := $(wildcard kmods/*.c)
LIBS_kmods = archive zstd lzma lz4 elf eu z yyjson expat $(HTTP_LIBS)
KMODS := build/release/x86_64/bin/kmods
USED_LOCK := build/kernels/used.lock
KERNELS ?= listed
ifeq ($(KERNELS),all)
KERNELS_LOCK := build/kernels/all.lock
else ifeq ($(KERNELS),listed)
KERNELS_LOCK := kmods/kernels.lock
else
$(error KERNELS is all or listed)
endif

# $(1) version or least: the number of the catalogue, and the least that is accepted
catalogue_number = $(shell sed -n 's/^$(1) //p' kmods/catalogue.version)

# For aarch64 too: pipelines of machine images build a module where the kernel is.
$(foreach arch,$(ARCHES),$(eval $(call program_rule,$(arch),kmods)))
$(foreach arch,$(ARCHES),$(eval $(SRC_kmods:%.c=build/release/$(arch)/obj/%.o): \
	$(foreach dep,zlib zstd xz libarchive elfutils,$(call dep_stamp,$(arch),$(dep)))))
all: $(ARCHES:%=build/release/%/bin/kmods)

# Written anew only when it changes; the stamp says that it was looked at.
$(USED_LOCK): build/stamps/kernel-packages ;
build/stamps/kernel-packages: $(KERNELS_LOCK) build/kernels/selected kmods/fetch.sh | $(KMODS)
	@mkdir -p $(@D)
	@echo "  FETCH   kernel packages"
	@FVOL_LOCK=$(KERNELS_LOCK) KMODS=$(KMODS) sh kmods/fetch.sh images
	@touch $@

# Asked once: after `make update-kernels` it is asked again.
build/kernels/all.lock: kmods/kernels.list | $(KMODS)
	@mkdir -p $(@D)
	@echo "  INDEX   every kernel"
	@$(KMODS) resolve --list kmods/kernels.list --all --out $@
	@touch $@

# Another choice than that of the last run is a reason to look at the packages again.
ifneq ($(KERNELS),$(shell cat build/kernels/selected 2>/dev/null))
build/kernels/selected: FORCE
endif
build/kernels/selected:
	@mkdir -p $(@D)
	@echo $(KERNELS) > $@
FORCE:

build/lime/used: kmods/lime.list kmods/lime.sh deps/fetch.sh $(KMODS)
	@echo "  FETCH   LiME"
	@KMODS=$(KMODS) sh kmods/lime.sh
	@KMODS=$(KMODS) sh kmods/lime.sh fallback
	@touch $@

# Kept on failure: it lists the modules that were built, and its date of 1970 says that
# some are missing. touch: the program leaves a catalogue alone that is true already.
.PRECIOUS: out/kmods/catalogue.json
out/kmods/catalogue.json: $(USED_LOCK) build/lime/used $(KMODS) kmods/catalogue.version \
		$(wildcard kmods/types/*.[ch])
	@echo "  MODULES"
	@set -- --lock $(USED_LOCK) --packages build/dl --symbols --types kmods/types \
		--lime build/lime/src --lime-version "$$(cut -d ' ' -f 1 build/lime/used)" \
		--scratch build/kernels/scratch --store build/kernels/store \
		--out out/kmods --jobs $(shell nproc) \
		--catalogue-version $(call catalogue_number,version); \
	[ ! -s build/lime/fallback/used ] || set -- "$$@" \
		--fallback-lime build/lime/fallback/src --fallback-lime-version \
		"$$(cut -d ' ' -f 1 build/lime/fallback/used)"; \
	$(KMODS) build "$$@" || [ $$? -eq 3 ]
	@touch $@

# What a boot test's guest runs. Not shipped.
define guest_rule
build/release/guest/$(1)/init: build/release/$(1)/obj/kmods/guest/init.o \
		build/release/$(1)/libfvol.a
	@mkdir -p $$(@D)
	@echo "  LINK    guest/init ($(1))"
	@$(CC_$(1)) $(LDFLAGS_COMMON) -o $$@ $$^
-include build/release/$(1)/obj/kmods/guest/init.d
endef
$(foreach arch,$(ARCHES),$(eval $(call guest_rule,$(arch))))
GUEST_PROGRAMS := $(ARCHES:%=build/release/guest/%/init)

# Loads every module of the catalogue in a guest with its very kernel; what passed before is
# not tried again. Plain make does not: it takes a minute a kernel.
BOOT_TIMEOUT ?= 600
boot-test: out/kmods/catalogue.json $(GUEST_PROGRAMS)
	@echo "  BOOT    modules"
	@$(KMODS) boot-test --catalogue out/kmods --lock $(USED_LOCK) --packages build/dl \
		--guest build/release/guest --scratch build/kernels/boot \
		--store build/kernels/store --jobs $(shell nproc) --timeout $(BOOT_TIMEOUT)

# What is given to others: all of it, every module tested on its kernel.
release: boot-test
	@$(MAKE) --no-print-directory all

.PHONY: boot-test release

# The kernels themselves, which tests boot: build/kernels/ARCH/RELEASE/boot/vmlinuz-…
build/kernels/stamp-images: $(USED_LOCK) kmods/images.sh | $(KMODS)
	@echo "  FETCH   kernel images"
	@FVOL_LOCK=$(KERNELS_LOCK) KMODS=$(KMODS) sh kmods/images.sh
	@touch $@

# Other kernels are another catalogue: its number grows by one.
update-kernels: $(KMODS)
	@before=$$(sha256sum < kmods/kernels.lock) && \
	$(KMODS) resolve --list kmods/kernels.list --out kmods/kernels.lock && \
	if [ "$$before" != "$$(sha256sum < kmods/kernels.lock)" ]; then \
		awk '$$1 == "version" { $$2++ } { print }' kmods/catalogue.version \
			> build/catalogue.version && \
		cat build/catalogue.version > kmods/catalogue.version; \
	fi
	@$(KMODS) resolve --list tests/vm/kernels.list --out tests/vm/kernels.lock
	@rm -f build/kernels/all.lock

all: out/kmods/catalogue.json

.PHONY: update-kernels FORCE

# Tests of the parsers, and the whole program for hostile packages, under sanitizers.
# All but the program's own main().
INDEX_OBJS := $(filter-out build/check/obj/kmods/main.o,$(SRC_kmods:%.c=build/check/obj/%.o))
PACKAGE_OBJS := $(addprefix build/check/obj/kmods/,unpack.o tree.o rpm.o names.o lock.o \
	file.o catalogue.o)
KMODS_HOST_LIBS = build/check/libfvol.a -Lbuild/deps/host/lib $(LIBS_kmods:%=-l%)
build/check/bin/fuzz_modinfo: build/check/obj/kmods/modinfo.o
build/check/bin/fuzz_unpack: $(PACKAGE_OBJS)
build/check/bin/fuzz_rpm: $(PACKAGE_OBJS)
build/check/bin/fuzz_repo_deb build/check/bin/fuzz_repo_rpm: $(INDEX_OBJS)
build/check/bin/fuzz_catalogue build/check/bin/fuzz_msrepo: $(INDEX_OBJS)
KMODS_CHECKED := $(addprefix build/check/bin/,fuzz_modinfo fuzz_unpack fuzz_rpm \
	fuzz_repo_deb fuzz_repo_rpm fuzz_pgp fuzz_catalogue fuzz_msrepo test_names \
	test_kmods test_version)
build/check/bin/fuzz_pgp build/check/bin/test_names build/check/bin/test_kmods \
	build/check/bin/test_version: $(INDEX_OBJS)
$(KMODS_CHECKED): HOST_LIBS := $(KMODS_HOST_LIBS)
build/check/bin/kmods: $(SRC_kmods:%.c=build/check/obj/%.o) build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(KMODS_HOST_LIBS)
test-programs: build/check/bin/kmods $(GUEST_PROGRAMS)
-include $(wildcard build/check/obj/kmods/*.d)
