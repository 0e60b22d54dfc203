# Reads deb (ar, tar, gz/xz/zstd). Its ext2 header check would find the headers of our
# own e2fsprogs or not, by the order of the build: it is answered here.
build() {
	ac_cv_header_ext2fs_ext2_fs_h=no configure \
		--disable-bsdtar --disable-bsdcat --disable-bsdcpio --disable-bsdunzip \
		--with-zlib --with-lzma --with-zstd --without-lz4 --without-bz2lib \
		--without-libb2 --without-iconv --without-lzo2 --without-cng \
		--without-mbedtls --without-nettle --without-openssl --without-xml2 \
		--without-expat --disable-acl --disable-xattr --disable-maintainer-mode
	make -j"$JOBS" libarchive.la
	libraries .libs/libarchive.a
	headers libarchive/archive.h libarchive/archive_entry.h
}
