# HTTP and HTTPS over mbedTLS, nothing else: no other protocol, no compression, no cookies,
# no authentication of its own, no built-in CA path. Names are looked up by a thread, so
# that a timeout holds and a signal ends it.
build() {
	configure --with-mbedtls="$PREFIX" --disable-dependency-tracking \
		--enable-http --enable-threaded-resolver --enable-ipv6 --enable-proxy \
		--disable-ftp --disable-file --disable-ipfs --disable-ldap --disable-ldaps \
		--disable-rtsp --disable-dict --disable-telnet --disable-tftp \
		--disable-pop3 --disable-imap --disable-smb --disable-smtp \
		--disable-gopher --disable-mqtt --disable-manual --disable-docs \
		--disable-libcurl-option --disable-ares --disable-rt --disable-sspi \
		--disable-basic-auth --disable-bearer-auth --disable-digest-auth \
		--disable-kerberos-auth --disable-negotiate-auth --disable-aws \
		--disable-ntlm --disable-tls-srp --disable-unix-sockets \
		--disable-cookies --disable-http-auth --disable-doh \
		--disable-mime --disable-form-api --disable-netrc \
		--disable-progress-meter --disable-sha512-256 --disable-dnsshuffle \
		--disable-get-easy-options --disable-alt-svc --disable-headers-api \
		--disable-hsts --disable-websockets --disable-httpsrr \
		--disable-verbose --disable-versioned-symbols --disable-ca-search \
		--without-ca-bundle --without-ca-path --without-ca-fallback \
		--without-zlib --without-brotli --without-zstd --without-libpsl \
		--without-libidn2 --without-libssh --without-libssh2 --without-librtmp \
		--without-nghttp2 --without-nghttp3 --without-ngtcp2 --without-libgsasl \
		--without-zsh-functions-dir --without-fish-functions-dir
	make -C lib -j"$JOBS" libcurl.la
	libraries lib/.libs/libcurl.a
	mkdir -p "$PREFIX/include/curl"
	cp include/curl/*.h "$PREFIX/include/curl/"
}
