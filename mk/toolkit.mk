# Programs that run on the instance: static musl, every architecture.
# To add a tool: its directory in TOOLS, its sources and libraries below.

TOOLS := capture hash grow compress upload symbols triage
SRC_capture := $(wildcard toolkit/capture/*.c)
LIBS_capture = yyjson zstd expat $(HTTP_LIBS)
# The functions that a capture runs stand side by side: each page of it is evidence lost.
LDFLAGS_capture := -Wl,-T,toolkit/capture/order.ld
SRC_hash := $(wildcard toolkit/hash/*.c)
LIBS_hash := zstd mbedcrypto
SRC_grow := toolkit/grow/grow.c
LIBS_grow := yyjson
SRC_compress := $(wildcard toolkit/compress/*.c)
LIBS_compress := archive zstd lzma z yyjson mbedcrypto
SRC_upload := $(wildcard toolkit/upload/*.c)
LIBS_upload = yyjson expat $(HTTP_LIBS)
SRC_symbols := $(wildcard toolkit/symbols/*.c)
LIBS_symbols := archive zstd lzma lz4 z yyjson mbedcrypto

SRC_triage := $(wildcard toolkit/triage/*.c)
LIBS_triage = yyjson zstd expat z $(HTTP_LIBS)

LIB_SRC := $(wildcard toolkit/lib/*.c)

# What http.c needs: LIBS_NAME := $(HTTP_LIBS) …
HTTP_LIBS := curl mbedtls mbedx509 mbedcrypto

lib_stamps = $(foreach dep,mbedtls curl yyjson expat zlib zstd lz4 xz libarchive,$(call dep_stamp,$(1),$(dep)))

# $(1) architecture
define arch_rules
build/release/$(1)/obj/%.o: %.c mk/config.mk VERSION $(TOOLCHAIN_$(1)) $(call lib_stamps,$(1))
	@mkdir -p $$(@D)
	@echo "  CC      $$< ($(1))"
	@$(CC_$(1)) $(CFLAGS_COMMON) -isystem build/deps/$(1)/include -MMD -MP -c -o $$@ $$<

build/release/$(1)/libfvol.a: $(LIB_SRC:%.c=build/release/$(1)/obj/%.o)
	@rm -f $$@
	@$(1)-linux-gnu-ar crD $$@ $$^
endef
$(foreach arch,$(ARCHES),$(eval $(call arch_rules,$(arch))))

# $(1) architecture, $(2) program, with SRC_ and LIBS_ of that name
define program_rule
build/release/$(1)/bin/$(2): $(SRC_$(2):%.c=build/release/$(1)/obj/%.o) \
		build/release/$(1)/libfvol.a
	@mkdir -p $$(@D)
	@echo "  LINK    $(2) ($(1))"
	@$(CC_$(1)) $(LDFLAGS_COMMON) $(LDFLAGS_$(1)) $(LDFLAGS_$(2)) -o $$@ \
		$$(filter %.o %.a,$$^) -Lbuild/deps/$(1)/lib $(LIBS_$(2):%=-l%)
-include $(SRC_$(2):%.c=build/release/$(1)/obj/%.d)
endef
$(foreach arch,$(ARCHES),$(foreach tool,$(TOOLS),$(eval $(call program_rule,$(arch),$(tool)))))
-include $(foreach arch,$(ARCHES),$(LIB_SRC:%.c=build/release/$(arch)/obj/%.d))

# compress bundles through the archive library.
$(foreach arch,$(ARCHES),$(eval $(SRC_compress:%.c=build/release/$(arch)/obj/%.o): \
	$(call dep_stamp,$(arch),libarchive)))

$(ARCHES:%=build/release/%/bin/capture): toolkit/capture/order.ld
define order_rule
build/order/$(1)/capture: $(SRC_capture:%.c=build/release/$(1)/obj/%.o) \
		build/release/$(1)/libfvol.a
	@mkdir -p $$(@D)
	@$(CC_$(1)) -no-pie -Wl,--gc-sections -Wl,-Map=build/order/$(1)/map -o $$@ $$^ \
		-Lbuild/deps/$(1)/lib $(LIBS_capture:%=-l%)
endef
$(foreach arch,$(ARCHES),$(eval $(call order_rule,$(arch))))
update-order: $(ARCHES:%=build/order/%/capture) build/check/bin/mkproc
	@MKPROC=build/check/bin/mkproc sh toolkit/capture/order.sh \
		$(foreach arch,$(ARCHES),build/order/$(arch)/capture build/order/$(arch)/map)
.PHONY: update-order

TOOL_BINARIES := $(foreach arch,$(ARCHES),$(TOOLS:%=build/release/$(arch)/bin/%))

# The report's page is taken in by the assembler, of which -MMD knows nothing.
REPORT_PAGE := $(wildcard toolkit/triage/report*.js toolkit/triage/report.css \
	toolkit/triage/report.html)
$(patsubst %,build/%/toolkit/triage/report_page.o,check/obj $(ARCHES:%=release/%/obj)): \
	$(REPORT_PAGE)
