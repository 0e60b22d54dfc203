build() {
	make -C lib -j"$JOBS" liblz4.a CC="$CC" AR="$AR" CFLAGS="$CFLAGS"
	libraries lib/liblz4.a
	headers lib/lz4.h
}
