build() {
	# shellcheck disable=SC2086 # flags are words
	"$CC" $CFLAGS -std=c99 -DYYJSON_DISABLE_FAST_FP_CONV=1 -c src/yyjson.c -o yyjson.o
	rm -f libyyjson.a
	"$AR" crD libyyjson.a yyjson.o
	libraries libyyjson.a
	headers src/yyjson.h
}
