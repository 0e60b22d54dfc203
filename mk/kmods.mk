# LiME modules for the kernels of kmods/kernels.lock, built on this machine.

SRC_kmods := $(wildcard kmods/*.c)
LIBS_kmods = archive zstd lzma elf eu z yyjson expat $(HTTP_LIBS)
KMODS := build/release/x86_64/bin/kmods
USED_LOCK := build/kernels/used.lock

# $(1) version or least: the number of the catalogue, and the least that is accepted
catalogue_number = $(shell sed -n 's/^$(1) //p' kmods/catalogue.version)

$(eval $(call program_rule,x86_64,kmods))
$(SRC_kmods:%.c=build/release/x86_64/obj/%.o): \
	$(foreach dep,zlib zstd xz libarchive elfutils,$(call dep_stamp,x86_64,$(dep)))

# Written anew only when it changes; the stamp says that it was looked at.
$(USED_LOCK): build/stamps/kernel-packages ;
build/stamps/kernel-packages: kmods/kernels.lock kmods/fetch.sh kmods/apt.sh deps/fetch.sh
	@mkdir -p $(@D)
	@echo "  FETCH   kernel packages"
	@sh kmods/fetch.sh
	@touch $@

build/lime/used: kmods/lime.list kmods/lime.sh kmods/apt.sh deps/fetch.sh $(KMODS)
	@echo "  FETCH   LiME"
	@KMODS=$(KMODS) sh kmods/lime.sh
	@touch $@

# Kept on failure: it lists the modules that were built, and its date of 1970 says that
# some are missing. touch: the program leaves a catalogue alone that is true already.
.PRECIOUS: out/kmods/catalogue.json
out/kmods/catalogue.json: $(USED_LOCK) build/lime/used $(KMODS) kmods/catalogue.version
	@echo "  MODULES"
	@$(KMODS) build --lock $(USED_LOCK) --packages build/dl \
		--lime build/lime/src --lime-version "$$(cut -d ' ' -f 1 build/lime/used)" \
		--scratch build/kernels/scratch --out out/kmods --jobs $(shell nproc) \
		--catalogue-version $(call catalogue_number,version)
	@touch $@

# The kernels themselves, which tests boot: build/kernels/ARCH/RELEASE/boot/vmlinuz-…
build/kernels/stamp-images: $(USED_LOCK) kmods/images.sh | $(KMODS)
	@echo "  FETCH   kernel images"
	@KMODS=$(KMODS) sh kmods/images.sh
	@touch $@

update-kernels:
	@before=$$(sha256sum < kmods/kernels.lock) && sh kmods/update-lock.sh && \
		{ [ "$$before" = "$$(sha256sum < kmods/kernels.lock)" ] || \
		awk '$$1 == "version" { $$2++ } { print }' kmods/catalogue.version \
			> build/catalogue.version && \
		cat build/catalogue.version > kmods/catalogue.version; }
	@sh tests/vm/update-kernels.sh

all: out/kmods/catalogue.json

.PHONY: update-kernels

# Tests of the parsers, and the whole program for hostile packages, under sanitizers.
KMODS_HOST_LIBS := build/check/libfvol.a -Lbuild/deps/host/lib $(LIBS_kmods:%=-l%)
build/check/bin/fuzz_modinfo: build/check/obj/kmods/modinfo.o
build/check/bin/fuzz_unpack: build/check/obj/kmods/unpack.o build/check/obj/kmods/tree.o
build/check/bin/fuzz_modinfo build/check/bin/fuzz_unpack: HOST_LIBS := $(KMODS_HOST_LIBS)
build/check/bin/kmods: $(SRC_kmods:%.c=build/check/obj/%.o) build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(KMODS_HOST_LIBS)
test-programs: build/check/bin/kmods
-include $(wildcard build/check/obj/kmods/*.d)
