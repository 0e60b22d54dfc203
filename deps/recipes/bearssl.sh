# Three files of it: AES in counter mode with AES-NI and GHASH with PCLMULQDQ, which
# mbedTLS's GCM uses on x86_64 (deps/config/mbedtls_gcm.c). They check the processor.
build() {
	for file in symcipher/aes_x86ni symcipher/aes_x86ni_ctr hash/ghash_pclmul; do
		# shellcheck disable=SC2086 # flags are words
		"$CC" $CFLAGS -Iinc -Isrc -c "src/$file.c" -o "${file##*/}.o"
	done
	rm -f libbearssl.a
	"$AR" crD libbearssl.a aes_x86ni.o aes_x86ni_ctr.o ghash_pclmul.o
	libraries libbearssl.a
	headers inc/bearssl_block.h inc/bearssl_hash.h
}
