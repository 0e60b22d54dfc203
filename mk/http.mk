# The test program of the HTTP client: for this machine under sanitizers, and as the
# static program of each architecture.

build/check/bin/httptest: build/check/obj/tests/http/httptest.o build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)

# $(1) architecture, $(2) program, $(3) source, $(4) libraries
define http_test_rule
build/tests/http/$(1)/$(2): build/release/$(1)/obj/$(3).o build/release/$(1)/libfvol.a
	@mkdir -p $$(@D)
	@$(CC_$(1)) $(LDFLAGS_COMMON) -o $$@ $$^ -Lbuild/deps/$(1)/lib $(4:%=-l%)
http-programs: build/tests/http/$(1)/$(2)
endef
$(foreach arch,$(ARCHES),\
	$(eval $(call http_test_rule,$(arch),httptest,tests/http/httptest,$(HTTP_LIBS)))\
	$(eval $(call http_test_rule,$(arch),test_gcm,tests/unit/test_gcm,mbedcrypto)))

http-programs: build/check/bin/httptest
test-programs: http-programs
.PHONY: http-programs
