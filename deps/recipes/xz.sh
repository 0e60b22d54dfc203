build() {
	configure --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo \
		--disable-lzma-links --disable-scripts --disable-doc --disable-nls \
		--disable-threads --enable-encoders=lzma1,lzma2,x86,arm64
	make -C src/liblzma -j"$JOBS"
	libraries src/liblzma/.libs/liblzma.a
	mkdir -p "$PREFIX/include/lzma"
	headers src/liblzma/api/lzma.h
	cp src/liblzma/api/lzma/*.h "$PREFIX/include/lzma/"
}
