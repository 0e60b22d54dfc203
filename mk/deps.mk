# The pinned foreign sources: one stamp for each source and target, named after the pin,
# so that a changed pin rebuilds what it pins and nothing else. To add a library: a line
# in deps/sources.list, a recipe in deps/recipes/, its name in a list below.

DEPS_x86_64 := bearssl mbedtls curl yyjson expat zlib zstd lz4 xz libarchive elfutils e2fsprogs
DEPS_aarch64 := mbedtls curl yyjson expat zlib zstd lz4 xz libarchive elfutils
# For tests under sanitizers, and instruments of the tests.
DEPS_host := bearssl mbedtls curl yyjson expat zlib zstd lz4 xz libarchive elfutils e2fsprogs

pin = $(shell awk '$$1 == "$(1)" { print substr($$4, 1, 12) }' deps/sources.list)
dep_stamp = build/stamps/$(1)-$(2)-$(PIN_$(2))
$(foreach dep,musl $(DEPS_x86_64),$(eval PIN_$(dep) := $(call pin,$(dep))))

TOOLCHAIN_x86_64 := $(call dep_stamp,x86_64,musl)
TOOLCHAIN_aarch64 := $(call dep_stamp,aarch64,musl)
# The sanitized build uses the machine's own compiler.
TOOLCHAIN_host :=

# What a library is built upon.
USES_libarchive := zlib zstd xz
USES_elfutils := zlib

USES_curl := mbedtls
# Its kernels are x86's: aarch64 has mbedTLS's own.
USES_mbedtls_x86_64 := bearssl
USES_mbedtls_host := bearssl

# $(1) target, $(2) source
define dep_rule
$(call dep_stamp,$(1),$(2)): deps/recipes/$(2).sh deps/build.sh \
		$(wildcard deps/patches/$(2)-*) $(wildcard deps/config/$(2)*) \
		$(foreach use,$(USES_$(2)) $(USES_$(2)_$(1)),$(call dep_stamp,$(1),$(use))) \
		$(if $(filter musl,$(2)),,$(TOOLCHAIN_$(1))) | build/stamps/packages-build
	@echo "  DEP     $(2) ($(1))"
	@JOBS=$(shell nproc) sh deps/build.sh $(1) $(2)
	@touch $$@
endef
$(foreach arch,$(ARCHES),$(eval $(call dep_rule,$(arch),musl)))
$(foreach target,$(ARCHES) host,$(foreach dep,$(DEPS_$(target)),\
	$(eval $(call dep_rule,$(target),$(dep)))))

build/stamps/packages-%: deps/packages.debian deps/host-packages.sh
	@mkdir -p build/stamps
	@sh deps/host-packages.sh $*
	@touch $@
