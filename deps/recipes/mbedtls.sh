# Only the crypto library is used so far: SHA-256 and ECDSA.
build() {
	# In the place of upstream's own: named by -DMBEDTLS_CONFIG_FILE="mbedtls_config.h"
	# ours would not be found, for the directory of the including header comes first.
	cp "$DEPS/config/mbedtls_config.h" include/mbedtls/mbedtls_config.h
	make -C library -j"$JOBS" libmbedcrypto.a GEN_FILES= CC="$CC" AR="$AR" CFLAGS="$CFLAGS"
	libraries library/libmbedcrypto.a
	mkdir -p "$PREFIX/include"
	cp -r include/mbedtls include/psa "$PREFIX/include/"
}
