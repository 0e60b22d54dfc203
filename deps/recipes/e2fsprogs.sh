# libext2fs and com_err only: no program of e2fsprogs is shipped or run.
build() {
	configure --disable-nls --disable-elf-shlibs --disable-imager --disable-fsck \
		--disable-uuidd --disable-e2initrd-helper --disable-defrag --disable-tls \
		--disable-fuse2fs --enable-libuuid --enable-libblkid --without-libarchive \
		--without-pthread --disable-resizer --disable-debugfs
	make -j"$JOBS" libs
	libraries lib/libext2fs.a lib/libcom_err.a lib/libuuid.a
	mkdir -p "$PREFIX/include/ext2fs" "$PREFIX/include/et" "$PREFIX/include/uuid"
	cp lib/ext2fs/*.h "$PREFIX/include/ext2fs/"
	cp lib/et/com_err.h "$PREFIX/include/et/"
	cp lib/uuid/uuid.h "$PREFIX/include/uuid/"
}
