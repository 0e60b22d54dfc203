# SHA-256, ECDSA and a TLS client: deps/config/mbedtls_config.h says what of it. Our entropy
# source and, on x86_64, our GCM (mbedtls_gcm.h) become part of libmbedcrypto.
build() {
	# Over the stock one: a name given by MBEDTLS_CONFIG_FILE is looked up beside
	# build_info.h first, where the stock one stands. So users of the headers see it too.
	cp "$DEPS/config/mbedtls_config.h" include/mbedtls/mbedtls_config.h
	cp "$DEPS/config/mbedtls_gcm.h" include/mbedtls/gcm_alt.h
	cp "$DEPS/config/mbedtls_gcm_own.h" include/mbedtls/gcm_own.h
	cp "$DEPS/config/mbedtls_random.c" "$DEPS/config/mbedtls_gcm.c" \
		"$DEPS/config/mbedtls_gcm_own.c" library/
	ours=mbedtls_random.o
	[ "$TARGET" = aarch64 ] || ours="$ours mbedtls_gcm.o mbedtls_gcm_own.o"
	# What is ours is held to our own warnings.
	for object in $ours; do
		# shellcheck disable=SC2086 # flags are words
		"$CC" $CFLAGS -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude \
			-c "library/${object%.o}.c" -o "library/$object"
	done
	make -C library -j"$JOBS" static GEN_FILES= CC="$CC" AR="$AR" CFLAGS="$CFLAGS"
	# The kernels too, so that whoever links libmbedcrypto needs not know of them.
	if [ "$TARGET" != aarch64 ]; then
		(cd library && "$AR" x "$PREFIX/lib/libbearssl.a")
		ours="$ours aes_x86ni.o aes_x86ni_ctr.o ghash_pclmul.o"
	fi
	for object in $ours; do
		"$AR" rD library/libmbedcrypto.a "library/$object"
	done
	libraries library/libmbedtls.a library/libmbedx509.a library/libmbedcrypto.a
	mkdir -p "$PREFIX/include"
	rm -rf "$PREFIX/include/mbedtls" "$PREFIX/include/psa"
	cp -r include/mbedtls include/psa "$PREFIX/include/"
}
