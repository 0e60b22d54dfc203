build() {
	CHOST="$HOST" ./configure --static --prefix=/usr
	make -j"$JOBS" libz.a CC="$CC" AR="$AR" ARFLAGS=crD RANLIB="$RANLIB"
	libraries libz.a
	headers zlib.h zconf.h
}
