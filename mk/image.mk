# The image: a build-machine program that makes and reads it, and the image itself.

SRC_image := $(wildcard image/*.c)
LIBS_image := ext2fs com_err mbedcrypto
$(eval $(call program_rule,x86_64,image))
IMAGE := build/release/x86_64/bin/image

# One file includes libext2fs.
build/release/x86_64/obj/image/ext4.o: $(call dep_stamp,x86_64,e2fsprogs)

CA_BUNDLE := build/ca/ca.pem
$(CA_BUNDLE): deps/ca-bundle.sh deps/sources.list | build/stamps/packages-build
	@echo "  CA      $@"
	@sh deps/ca-bundle.sh $@
	@touch $@

IMAGE_SOURCES := image/README.txt image/volume.plan $(CA_BUNDLE) $(wildcard mount-scripts/*.sh)
# Licences come with the libraries that a stamp stands for.
IMAGE_STAMPS := $(foreach arch,$(ARCHES),$(foreach dep,$(DEPS_$(arch)),\
	$(call dep_stamp,$(arch),$(dep))))

out/fvol.img out/MANIFEST &: $(IMAGE) $(TOOL_BINARIES) out/kmods/catalogue.json \
		$(IMAGE_SOURCES) $(IMAGE_STAMPS) VERSION mk/config.mk
	@mkdir -p out
	@echo "  IMAGE   out/fvol.img"
	@$(IMAGE) build --plan image/volume.plan --size $(IMAGE_SIZE) \
		--epoch $(SOURCE_DATE_EPOCH) --manifest-out out/MANIFEST out/fvol.img

image: out/fvol.img
.PHONY: image
all: out/fvol.img

# Tests of the parsers under sanitizers; the rest of their rule is in tests.mk.
build/check/bin/fuzz_plan: build/check/obj/image/plan.o build/check/obj/image/path.o
# Once more behind the objects above, which the general rule puts last.
build/check/bin/fuzz_plan: HOST_LIBS := build/check/libfvol.a
build/check/bin/fuzz_dirblock: build/check/obj/image/dirblock.o build/check/obj/image/path.o
# Damaged volumes must get past the checksums to be worth testing.
build/check/obj/image/ext4.o: CFLAGS_CHECK += -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
build/check/bin/image: $(SRC_image:%.c=build/check/obj/%.o) build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ -Lbuild/deps/host/lib $(LIBS_image:%=-l%)
-include $(wildcard build/check/obj/image/*.d)

test-programs: build/check/bin/image
