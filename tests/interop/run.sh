#!/bin/sh
# Volatility 3 itself on images of our making: run.sh. Memory of a guest is captured in every
# format, and so is memory that was made up; the real tool must open each, within a limit of
# time (its AVML reader has been seen to loop for ever), and see in it, byte by byte, what our
# independent reader sees. Not a part of `make test`: `make interop VOLATILITY=DIR`.
# Environment: VOLATILITY (a checkout of volatility3: the directory of vol.py), SYMBOLS (a
# directory of symbol files of the guest's kernel; default: made here), VOL_LIMIT_S (300),
# CASES (what to run, default all: live made_up control).
# Exit: 0 all ok; 1 a check failed; 2 no Volatility; 5 never finished.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."
VOL_LIMIT_S=${VOL_LIMIT_S:-300}
VOLATILITY=${VOLATILITY:-}
SYMBOLS=${SYMBOLS:-}
capture=$PWD/build/release/x86_64/bin/capture
symbols=$PWD/build/release/x86_64/bin/symbols
PLUGINS='bash.Bash capabilities.Capabilities check_afinfo.Check_afinfo check_creds.Check_creds
	check_idt.Check_idt check_modules.Check_modules check_syscall.Check_syscall ebpf.EBPF
	elfs.Elfs envars.Envars iomem.IOMem keyboard_notifiers.Keyboard_notifiers kmsg.Kmsg
	library_list.LibraryList lsmod.Lsmod lsof.Lsof malfind.Malfind mountinfo.MountInfo
	netfilter.Netfilter pagecache.Files pidhashtable.PIDHashTable proc.Maps psaux.PsAux
	psscan.PsScan pstree.PsTree ptrace.Ptrace sockstat.Sockstat tty_check.tty_check'
MIB=1048576

# Arguments: SENTENCE. Returns: never.
no_volatility() {
	echo "interop: $*" >&2
	exit 2
}

need_volatility() {
	[ -n "$VOLATILITY" ] || no_volatility 'say where Volatility 3 is: make interop' \
		'VOLATILITY=DIR, DIR being a checkout of volatilityfoundation/volatility3'
	[ -f "$VOLATILITY/vol.py" ] || no_volatility "there is no vol.py in $VOLATILITY"
	[ -z "$SYMBOLS" ] || [ -d "$SYMBOLS" ] || no_volatility "SYMBOLS: no directory $SYMBOLS"
	why=$(python3 "$VOLATILITY/vol.py" --help 2>&1) ||
		no_volatility "vol.py does not run: $(echo "$why" | tail -n 1)"
	python3 -c 'import ctypes; ctypes.cdll.LoadLibrary("libsnappy.so.1")' 2> /dev/null ||
		no_volatility 'Volatility reads AVML through libsnappy.so.1, which is not installed'
}

need_volatility
[ "${1:-}" != --check ] || exit 0
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
# shellcheck source=tests/vm/images.sh
. tests/vm/images.sh
vm_trap
guest=interop
work=$PWD/build/interop
rm -rf "$work"
mkdir -p "$work/cache"

# Arguments: OUT-NAME ARGUMENT... Volatility, bounded. Output in $work/OUT-NAME.out and .err;
# what a plugin writes in $work/OUT-NAME/. Returns: its exit code; 124 when it hangs.
vol() {
	vol_name=$1
	shift
	rm -rf "${work:?}/$vol_name"
	mkdir -p "$work/$vol_name"
	vol_rc=0
	timeout -k 5 "$VOL_LIMIT_S" python3 "$VOLATILITY/vol.py" -q --offline \
		--cache-path "$work/cache" -o "$work/$vol_name" "$@" \
		> "$work/$vol_name.out" 2> "$work/$vol_name.err" < /dev/null || vol_rc=$?
	return "$vol_rc"
}

# Arguments: TITLE OUT-NAME ARGUMENT... A run that must end by itself, with success.
vol_ends() {
	title=$1
	shift
	vol_rc=0
	vol "$@" || vol_rc=$?
	case $vol_rc in
	0) ok "$title" ;;
	124 | 137)
		bad "$title: hangs: no end within $VOL_LIMIT_S s"
		return 1
		;;
	*)
		bad "$title: exit code $vol_rc"
		tail -n 15 "$work/$1.out" "$work/$1.err"
		return 1
		;;
	esac
}

# Arguments: FILE. Cuts the zeros at its end, which AVML leaves out; prints the SHA-256.
trimmed_sum() {
	perl -e 'open my $f, "<:raw", $ARGV[0] or die; my $n = -s $f; my $block = 1 << 20;
		while ($n) {
			my $at = $n > $block ? $n - $block : 0;
			seek $f, $at, 0; read $f, my $buf, $n - $at;
			if ($buf =~ /[^\0]/) { $buf =~ s/\0+\z//; $n = $at + length $buf; last }
			$n = $at;
		}
		truncate $ARGV[0], $n or die' "$1" && sha256sum < "$1" | cut -c 1-64
}

# Arguments: NAME IMAGE LAYER-CLASS. Stacking: which layer Volatility takes it for, and what
# it reads through that layer, whose SHA-256 is left in $layer_sum.
check_layer() {
	layer_sum=none
	vol_ends "$1: layerwriter lists the layers" "$1-list" -f "$2" -r json \
		layerwriter.LayerWriter --list || return 0
	same "$1: the layer is $3" "$(jq -r '.[-1]["Layer type"]' "$work/$1-list.out")" "$3"
	vol_ends "$1: layerwriter ends" "$1-layer" -f "$2" layerwriter.LayerWriter || return 0
	layer=$(find "$work/$1-layer" -type f -name '*.raw')
	check "$1: layerwriter wrote the layer" test -s "$layer" || return 0
	rm -f "$work/flat"
	check "$1: our own reader opens it, too" "$READIMAGE" flat "$2" "$work/flat" || return 0
	[ "$3" = AVMLLayer ] ||
		same "$1: the layer is as long as the memory" "$(stat -c %s "$layer")" \
			"$(stat -c %s "$work/flat")"
	flat_sum=$(trimmed_sum "$work/flat")
	layer_sum=$(trimmed_sum "$layer")
	rm -f "$layer" "$work/flat"
	same "$1: both see the same bytes" "$layer_sum" "$flat_sum"
}

# Arguments: IMAGE NAME. Prints the image as Volatility can have it: zst through zstd.
unpacked() {
	case $1 in
	*.zst)
		zstd -q -d -f -o "$work/$2.lime" "$1"
		echo "$work/$2.lime"
		;;
	*) echo "$1" ;;
	esac
}

# Arguments: IMAGE. Prints the class of Volatility's layer for it.
layer_class() {
	case $1 in
	*.lime) echo LimeLayer ;;
	*.avml) echo AVMLLayer ;;
	*) echo FileLayer ;;
	esac
}

# Arguments: NAME IMAGE. All that is asked of the image of a guest.
check_guest_image() {
	image=$(unpacked "$2" "$1")
	check_layer "$1" "$image" "$(layer_class "$image")"
	if vol_ends "$1: banners ends" "$1-banners" -f "$image" banners.Banners; then
		says "$1: banners finds the guest's kernel" "$work/$1-banners.out" \
			"Linux version $(cut -d ' ' -f 1 "$dir/uname" | sed 's/[.+]/\\&/g') "
	fi
	vol_ends "$1: pslist ends" "$1-pslist" -s "$(vm_absolute "$SYMBOLS")" -f "$image" \
		linux.pslist.PsList || return 0
	for name in agent fill kthreadd; do
		says "$1: pslist shows $name" "$work/$1-pslist.out" "[[:space:]]$name([[:space:]]|$)"
	done
}

# Arguments: IMAGE. What else an analyst asks first, with a symbol file that was made of the
# image alone: each plugin must end well, and those that list what every guest has must list.
check_plugins() {
	rm -rf "$work/alone"
	mkdir -p "$work/alone/linux"
	check 'plugins: symbols from the image alone' "$symbols" --dump "$1" \
		--output "$work/alone/linux/guest.json.xz" || return 0
	for plugin in $PLUGINS; do
		vol_ends "plugins: $plugin" "plugin-$plugin" -s "$(vm_absolute "$work/alone")" \
			-f "$1" "linux.$plugin" || :
	done
	for plugin in lsof.Lsof mountinfo.MountInfo check_syscall.Check_syscall proc.Maps \
		kmsg.Kmsg iomem.IOMem pidhashtable.PIDHashTable; do
		same "plugins: $plugin lists something" \
			"$(($(wc -l < "$work/plugin-$plugin.out") > 8))" 1
	done
}

# A guest whose memory holds much that does not compress, captured in every format.
live() {
	VM_APPEND=nokaslr images_boot 256 4G
	images_fill 112 1024
	for format in lime avml raw zst; do
		images_capture "$format" --format "$format" --no-hash
		images_captured "$format"
	done
	# Now memory that no AVML block can hold.
	images_fill 112
	images_capture fallback --format avml --no-hash
	same 'guest fallback: lime was written' "$(tail -n 1 "$dir/fallback.out" | jq -r .format)" \
		lime
	images_eject "$SERIAL"
	vm_stop "$guest"
	images_pull
	for format in lime avml raw zst fallback; do
		check_guest_image "guest-$format" "$(images_path "$format")"
	done
	check_plugins "$(images_path lime)"
	# The same memory, standing still.
	still same "$(images_path lime)" avml
	rm -rf "$dir"/*.raw* "$dir"/*.img "$dir/evidence"
}

# Arguments: NUMBER BYTES. Prints it as so many bytes, the least significant first.
le() {
	le_value=$1 le_left=$2
	while [ "$le_left" -gt 0 ]; do
		# shellcheck disable=SC2059 # an octal escape is the point
		printf "\\$(printf %03o $((le_value & 255)))"
		le_value=$((le_value >> 8)) le_left=$((le_left - 1))
	done
}

# Arguments: START BYTES. Prints the header of a LiME range.
lime_header() {
	printf 'EMiL\001\000\000\000'
	le "$1" 8
	le $(($1 + $2 - 1)) 8
	le 0 8
}

# Arguments: BYTES. Prints bytes that do not compress.
random_bytes() {
	head -c "$1" /dev/urandom
}

# Arguments: NAME LIME WANTED-AVML. The same memory through our capture in each format, from a
# proc tree made of the image; WANTED-AVML is what `--format avml' must come to.
still() {
	mkdir "$work/$1-proc"
	"$READIMAGE" tree "$2" "$work/$1-proc"
	still_sum=
	for format in lime avml raw zst; do
		# Made up: nothing of this machine is read.
		check "$1 $format: captured" "$capture" --proc "$work/$1-proc" \
			--sys "$work/$1-proc" --dev "$work/$1-proc" --source kcore \
			--format "$format" --output "$work/$1.$format" --json || continue
		format_is=$(tail -n 1 "$dir/check.out" | jq -r .format)
		[ "$format" != avml ] ||
			same "$1 avml: is $3" "$format_is" "$3"
		mv "$work/$1.$format" "$work/$1-$format.image.$format_is"
		image=$(unpacked "$work/$1-$format.image.$format_is" "$1-zst")
		check_layer "$1-$format" "$image" "$(layer_class "$image")"
		still_sum=${still_sum:-$layer_sum}
		same "$1-$format: the layer is that of lime, byte by byte" "$layer_sum" \
			"$still_sum"
		rm -f "$work/$1-$format.image"* "$work/$1-zst.lime"
	done
	rm -rf "$work/$1-proc"
}

made_up() {
	# 64 MiB that no AVML block can hold, between zeros and text.
	{
		lime_header $((1 * MIB)) $((72 * MIB))
		head -c $((4 * MIB)) /dev/zero
		random_bytes $((64 * MIB))
		yes fvol | head -c $((4 * MIB))
	} > "$work/random.source"
	still random "$work/random.source" lime
	# As much, with a page of text in each 8 MiB: every block must borrow from another.
	{
		lime_header $((1 * MIB)) $((64 * MIB))
		for part in 1 2 3 4 5 6 7 8; do
			random_bytes $((8 * MIB - 4096))
			yes "$part" | head -c 4096
		done
	} > "$work/mixed.source"
	still mixed "$work/mixed.source" avml
	rm -f "$work"/*.source
}

# What the limit is for: a block whose stream is longer than its memory, which we never write.
control() {
	{
		le $((0x4c4d5641)) 4
		le 2 4
		le 0 8
		le 65535 8
		le 0 8
		printf '\377\006\000\000sNaPpY\001'
		le 65540 3
		le 0 4
		random_bytes 65536
		le $((10 + 8 + 65536)) 8
	} > "$work/overlong.avml"
	control_rc=0
	(VOL_LIMIT_S=60 && vol overlong -f "$work/overlong.avml" layerwriter.LayerWriter) ||
		control_rc=$?
	case $control_rc in
	124 | 137) echo '# control: this Volatility hangs on a block that is longer than its memory' ;;
	*) echo "# control: this Volatility ends ($control_rc) on a block longer than its memory" ;;
	esac
	if "$READIMAGE" list "$work/overlong.avml" > "$work/overlong.out" 2>&1; then
		bad 'control: our reader refuses such a block'
	else
		ok 'control: our reader refuses such a block'
	fi
}

dir=$VM_DIR/$guest
echo "# Volatility $(PYTHONPATH=$VOLATILITY python3 -c \
	'from volatility3.framework import constants; print(constants.PACKAGE_VERSION)')"
mkdir -p "$dir"
path_prepare x86_64
if [ -z "$SYMBOLS" ]; then
	SYMBOLS=$work/isf
	mkdir -p "$SYMBOLS/linux"
	check 'symbols of the kernel' "$symbols" --vmlinux "$VM_KERNEL" \
		--output "$SYMBOLS/linux/kernel.json.xz" || exit 1
fi
vol_ends 'isfinfo ends' isfinfo -s "$(vm_absolute "$SYMBOLS")" isfinfo.IsfInfo
for case in ${CASES:-live made_up control}; do
	case $case in
	live) live ;;
	made_up) made_up ;;
	control) control ;;
	esac
done
rm -rf "$work/cache"
# shellcheck disable=SC2154
exit "$failed"
