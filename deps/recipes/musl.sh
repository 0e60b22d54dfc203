# musl and a compiler wrapper around Debian's gcc 12. Debian's own musl-gcc specs make a
# dynamic PIE of -static-pie, so the specs are ours: static-pie by default, plain
# static with -static.
build() {
	gcc=$TARGET-linux-gnu-gcc-12
	P=$TOOLCHAIN
	CC=$gcc CROSS_COMPILE=$TARGET-linux-gnu- ./configure --target="$TARGET-linux-musl" \
		--prefix="$P" --syslibdir="$P/lib" --disable-shared --disable-wrapper \
		CFLAGS="$COMMON"
	make -j"$JOBS"
	make install

	# The kernel's interface headers, of one fixed version for both architectures. Those
	# that musl has a counterpart for (sys/*) must not be included together with it.
	uapi=linux-libc-dev-$TARGET
	sh "$DEPS/source.sh" "$uapi" "$ROOT/build/dl"
	ar p "$ROOT/build/dl/$(pinned_file "$uapi")" data.tar.xz | tar -xJ -C .
	for dir in asm asm-generic linux mtd misc; do
		cp -r usr/*-linux-gnu/include/$dir "$P/include/"
	done

	cat > "$P/lib/musl.specs" <<-EOF
		%rename cpp_options old_cpp_options

		*cpp_options:
		-nostdinc -isystem $P/include -isystem include%s %(old_cpp_options)

		*cc1:
		%(cc1_cpu) -nostdinc -isystem $P/include -isystem include%s

		*link_libgcc:
		-L$P/lib -L .%s

		*libgcc:
		libgcc.a%s %:if-exists(libgcc_eh.a%s)

		*startfile:
		%{static|no-pie:$P/lib/crt1.o;:$P/lib/rcrt1.o} $P/lib/crti.o %{static|no-pie:crtbeginT.o%s;:crtbeginS.o%s}

		*endfile:
		%{static|no-pie:crtend.o%s;:crtendS.o%s} $P/lib/crtn.o

		*link:
		-nostdlib %{r:;static|no-pie:-static;:-static -pie --no-dynamic-linker -z text} --build-id=none -z relro -z now -z noexecstack
	EOF
	mkdir -p "$P/bin"
	printf '#!/bin/sh\nexec %s "$@" -specs %s\n' "$gcc" "$P/lib/musl.specs" > "$P/bin/cc"
	chmod 755 "$P/bin/cc"
	for tool in ar ranlib strip; do
		ln -sf "/usr/bin/$TARGET-linux-gnu-$tool" "$P/bin/$tool"
	done
}
