# libelf alone. musl has none of argp, fts and obstack, which only the tools use, so
# configure is told that they are there.
build() {
	ac_cv_search_argp_parse='none required' ac_cv_search_fts_close='none required' \
		ac_cv_search__obstack_free='none required' \
		ac_cv_search_dlopen='none required' \
		configure --disable-debuginfod --disable-libdebuginfod --disable-nls \
		--disable-demangler --disable-symbol-versioning --disable-maintainer-mode \
		--without-bzlib --without-lzma --without-zstd
	# Of elfutils' private library only what libelf calls: the rest wants argp.
	make -C lib libeu.a am_libeu_a_OBJECTS='crc32.o crc32_file.o eu-search.o next_prime.o'
	make -C libelf -j"$JOBS" libelf.a
	libraries libelf/libelf.a lib/libeu.a
	headers libelf/libelf.h libelf/gelf.h version.h
	mkdir -p "$PREFIX/include/elfutils"
	cp version.h "$PREFIX/include/elfutils/"
}
