# Only the crypto library is used so far: SHA-256 and, later, ECDSA and TLS.
build() {
	make -C library -j"$JOBS" libmbedcrypto.a GEN_FILES= CC="$CC" AR="$AR" \
		CFLAGS="$CFLAGS -I$DEPS/config -DMBEDTLS_CONFIG_FILE='\"mbedtls_config.h\"'"
	libraries library/libmbedcrypto.a
	mkdir -p "$PREFIX/include"
	cp -r include/mbedtls include/psa "$PREFIX/include/"
	headers "$DEPS/config/mbedtls_config.h"
}
