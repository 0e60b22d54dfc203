# The image: a build-machine program that makes and reads it, and the image itself.

SRC_image := $(wildcard image/*.c)
LIBS_image = ext2fs com_err yyjson expat $(HTTP_LIBS)
$(eval $(call program_rule,x86_64,image))
IMAGE := build/release/x86_64/bin/image

# These files include libext2fs.
EXT4_OBJ := image/ext4_make.o image/ext4_read.o image/ext4_check.o
$(EXT4_OBJ:%=build/release/x86_64/obj/%): $(call dep_stamp,x86_64,e2fsprogs)

CA_BUNDLE := build/ca/ca.pem
$(CA_BUNDLE): deps/ca-bundle.sh deps/sources.list | build/stamps/packages-build
	@echo "  CA      $@"
	@sh deps/ca-bundle.sh $@
	@touch $@

# What of deps/sources.list is linked into which program, and where LiME's modules are, for
# the SBOM (image/sbom.h tells the form). The names of libraries that are not their source's:
SOURCE_archive := libarchive
SOURCE_lzma := xz
SOURCE_z := zlib
SOURCE_mbedcrypto := mbedtls
SOURCE_mbedx509 := mbedtls
SOURCE_elf := elfutils
# mbedTLS has BearSSL's kernels inside; programs that speak TLS keep them.
SOURCE_curl := curl bearssl
sbom_libs = $(sort musl $(foreach lib,$(LIBS_$(1)),$(or $(SOURCE_$(lib)),$(lib))))
SBOM_PARTS := build/sbom.parts
$(SBOM_PARTS): mk/image.mk mk/toolkit.mk mk/deps.mk deps/sources.list image/sbom-lime.sh \
		build/lime/used kmods/lime.list
	@{ $(foreach tool,$(TOOLS),echo 'tool $(tool) $(call sbom_libs,$(tool))'; \
		echo 'contains $(tool) bin/*/$(tool)';) \
		echo 'source-of ca-certificates etc/ca.pem'; \
		sh image/sbom-lime.sh; } > $@

IMAGE_SOURCES := image/README.txt image/volume.plan kmods/catalogue.version $(CA_BUNDLE) \
	$(SBOM_PARTS) deps/sources.list $(wildcard mount-scripts/*.sh)
# Licences come with the libraries that a stamp stands for.
IMAGE_STAMPS := $(foreach arch,$(ARCHES),$(foreach dep,$(DEPS_$(arch)),\
	$(call dep_stamp,$(arch),$(dep))))

# SIGN_KEY=FILE signs the MANIFEST, or SIGN_COMMAND=PROGRAM with SIGN_PUBLIC=FILE; KEYS=DIR
# are the trusted keys on the volume. With other options the image is another one.
# LIKE=OLD.img keeps the places of what is the same as in the release before: few blocks of
# its snapshot change.
IMAGE_OPTIONS := $(LIKE:%=--like %) $(if $(SIGN_KEY),--sign-key $(SIGN_KEY)) \
	$(if $(SIGN_COMMAND),--sign-command $(SIGN_COMMAND) --key $(SIGN_PUBLIC)) \
	$(if $(KEYS),--keys $(KEYS))
IMAGE_SIGNING := build/stamps/image-options
$(shell mkdir -p build/stamps; echo '$(strip $(IMAGE_OPTIONS))' | cmp -s - $(IMAGE_SIGNING) || \
	echo '$(strip $(IMAGE_OPTIONS))' > $(IMAGE_SIGNING))

# The catalogue of modules is signed by the same key, for those who have it without the
# image. Where nobody signs there must be no signature left of an earlier make.
CATALOGUE_SIGNER := $(if $(SIGN_KEY),--sign-key $(SIGN_KEY)) \
	$(if $(SIGN_COMMAND),--sign-command $(SIGN_COMMAND) --key $(SIGN_PUBLIC))
CATALOGUE_SIGNED := build/stamps/catalogue-signed
$(CATALOGUE_SIGNED): out/kmods/catalogue.json $(IMAGE_SIGNING) $(SIGN_KEY) $(SIGN_PUBLIC) \
		| $(KMODS)
	@$(if $(strip $(CATALOGUE_SIGNER)),$(KMODS) sign $(CATALOGUE_SIGNER) out/kmods,\
		rm -f out/kmods/catalogue.json.sig)
	@touch $@

out/fvol.img out/MANIFEST &: $(IMAGE) $(TOOL_BINARIES) $(CATALOGUE_SIGNED) \
		$(IMAGE_SOURCES) $(IMAGE_STAMPS) VERSION mk/config.mk $(IMAGE_SIGNING) \
		$(SIGN_KEY) $(SIGN_PUBLIC) $(LIKE) $(if $(KEYS),$(wildcard $(KEYS)/*))
	@mkdir -p out
	@echo "  IMAGE   out/fvol.img"
	@$(IMAGE) build --plan image/volume.plan $(IMAGE_SIZE:%=--size %) \
		--epoch $(SOURCE_DATE_EPOCH) --manifest-out out/MANIFEST \
		$(IMAGE_OPTIONS) out/fvol.img

image: out/fvol.img
.PHONY: image
all: out/fvol.img

# Tests of the parsers under sanitizers; the rest of their rule is in tests.mk.
build/check/bin/fuzz_plan: build/check/obj/image/plan.o build/check/obj/image/path.o
# Once more behind the objects above, which the general rule puts last.
build/check/bin/fuzz_plan: HOST_LIBS := build/check/libfvol.a
build/check/bin/fuzz_dirblock: build/check/obj/image/dirblock.o build/check/obj/image/path.o
# Damaged volumes must get past the checksums to be worth testing.
build/check/obj/image/ext4_read.o: CFLAGS_CHECK += -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
build/check/bin/image: $(SRC_image:%.c=build/check/obj/%.o) build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ -Lbuild/deps/host/lib $(LIBS_image:%=-l%)
-include $(wildcard build/check/obj/image/*.d)

# A disk that gives back something else: tests/image/flip.c.
build/check/bin/image-flip: $(SRC_image:%.c=build/check/obj/%.o) \
		build/check/obj/tests/image/flip.o build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -Wl,--wrap=pread,--wrap=pread64 -o $@ $^ -Lbuild/deps/host/lib \
		$(LIBS_image:%=-l%)

test-programs: build/check/bin/image build/check/bin/image-flip

# What stands between a hostile volume and the commands, whole.
build/check/bin/fuzz_volume: $(patsubst %.c,build/check/obj/%.o,image/ext4_read.c \
	image/ext4_make.c image/ext4_check.c image/device.c image/dirblock.c image/path.c \
	image/walk.c image/verify.c image/manifest.c image/workers.c image/replay.c)
build/check/bin/fuzz_volume: HOST_LIBS := build/check/libfvol.a -Lbuild/deps/host/lib \
	-lext2fs -lcom_err -lmbedcrypto
