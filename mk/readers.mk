# Independent readers of the image formats, and what tests link of them.

READERS := build/check/obj/tests/readers/image.o build/check/obj/tests/readers/unsnappy.o
build/check/bin/readimage: build/check/obj/tests/readers/readimage.o $(READERS)
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)
test-programs: build/check/bin/readimage

build/check/bin/test_encoder build/check/bin/test_pipeline: $(READERS)
build/check/bin/fuzz_snappy: build/check/obj/tests/readers/unsnappy.o
build/check/bin/fuzz_readimage: $(READERS)

# Our snappy encoder against libsnappy-dev's, which nothing else is linked with.
build/tests/bench/host/snappy: tests/bench/snappy.c tests/bench/memlike.h \
		toolkit/lib/snappy.c toolkit/lib/snappy.h toolkit/lib/le.h \
		| build/stamps/packages-bench
	@mkdir -p $(@D)
	@$(CC_HOST) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 -I. -o $@ $(filter %.c,$^) -lsnappy

# What tests/vm/dumpsyms.sh compares with a guest's own words.
build/check/bin/kernelsyms: build/check/obj/tests/readers/kernelsyms.o build/check/libfvol.a
	@mkdir -p $(@D)
	@$(CC_HOST) $(CFLAGS_CHECK) -o $@ $^ $(HOST_LIBS)
test-programs: build/check/bin/kernelsyms
