build() {
	make -C lib -j"$JOBS" libzstd.a ZSTD_LEGACY_SUPPORT=0 ZSTD_LIB_DICTBUILDER=0 \
		ZSTD_LIB_DEPRECATED=0 CC="$CC" AR="$AR"
	libraries lib/libzstd.a
	headers lib/zstd.h lib/zstd_errors.h
}
