# shellcheck shell=sh
# The part of repos.sh that is about rpm repositories, directories and build trees. To be
# sourced by it.
: "${work:?}" "${web:?}" "${checked:?}" "${kmods:?}" "${key:?}"

echo "# rpm repositories"
redhat=usr/src/kernels/6.1.99-1.test.x86_64
make_rpm "$work/rh/x86_64" kernel-devel x86_64 \
	'Provides: kernel-devel-uname-r = 6.1.99-1.test.x86_64' $redhat 1.test
make_rpm "$work/rh/x86_64" kernel-rt-devel x86_64 \
	'Provides: kernel-rt-devel-uname-r = 6.1.99-1.test.x86_64+rt' $redhat+rt 1.test w6.xzdio
make_rpm "$work/rh/x86_64" kernel-core x86_64 \
	'Provides: kernel-core-uname-r = 6.1.99-1.test.x86_64' boot 1.test w3.zstdio
make_rpm "$work/rh/x86_64" kernel x86_64 '' usr/share/nothing 1.test
make_rpm "$work/rh/x86_64" kernel-headers x86_64 '' usr/include/linux 1.test
make_rpm "$work/rh/aarch64" kernel-devel aarch64 '' usr/src/kernels/6.1.99-1.test.aarch64 1.test
make_repo "$work/rh/x86_64"
make_repo "$work/rh/aarch64" --general-compress-type=xz
cat > "$work/rh.want" <<-EOF
	headers aarch64 6.1.99-1.test.aarch64 kernel-devel 6.1.99-1.test
	kbuild aarch64 6.1.99-1.test.aarch64 kernel-devel 6.1.99-1.test
	headers x86_64 6.1.99-1.test.x86_64 kernel-devel 6.1.99-1.test
	image x86_64 6.1.99-1.test.x86_64 kernel-core 6.1.99-1.test
	headers x86_64 6.1.99-1.test.x86_64+rt kernel-rt-devel 6.1.99-1.test
EOF
asc="key=$work/key.asc"
# shellcheck disable=SC2016 # the program's word
for where in "$work/rh" "$web/rh"; do
	expect 0 "a repository at ${where%%"$work"*}" '' resolve "source s rpm $where/\$ARCH $asc
kernel s generic x86_64 newest 1
kernel s rt x86_64 all
kernel s generic aarch64 all"
	lock_words | diff "$work/rh.want" - > "$work/err" && rc=0 || rc=1
	result "$rc" 'Red Hat names its kernels so'
done
fetch 0 'its packages' '' --images
for rpm in "$work/got"/kernel*.rpm; do
	rm -rf "$work/into"
	expect 0 "unpacking ${rpm##*/}" '' "$checked" unpack --into "$work/into" "$rpm"
done
(cd "$work/into/$redhat+rt" && find . -type f -printf '%P %m %n %s\n' -o -type l \
	-printf '%P %l\n' | LC_ALL=C sort) > "$work/tree.got"
printf 'link which\none 644 2 5\ntool 755 1 10\ntwo 644 2 5\nwhich 644 1 23\n' |
	diff - "$work/tree.got" > "$work/err" && rc=0 || rc=1
result "$rc" 'its files, links, modes, and the content of a file with two names'

make_rpm "$work/suse" kernel-default-devel x86_64 '' \
	usr/src/linux-6.1.99-150500.55.7-obj/x86_64/default 150500.55.7.1
make_rpm "$work/suse" kernel-devel noarch '' usr/src/linux-6.1.99-150500.55.7 150500.55.7.1
make_rpm "$work/suse" kernel-default x86_64 '' boot 150500.55.7.1
make_repo "$work/suse"
cat > "$work/suse.want" <<-EOF
	headers x86_64 6.1.99-150500.55.7-default kernel-default-devel 6.1.99-150500.55.7.1
	common x86_64 6.1.99-150500.55.7-default kernel-devel 6.1.99-150500.55.7.1
	image x86_64 6.1.99-150500.55.7-default kernel-default 6.1.99-150500.55.7.1
EOF
expect 0 'a repository of SUSE' '' resolve "source s rpm $work/suse $key
kernel s default x86_64 newest 1"
lock_words | diff "$work/suse.want" - > "$work/err" && rc=0 || rc=1
result "$rc" 'SUSE names its kernels so'

gzip -dc "$work/suse/repodata/primary.xml.gz" > "$work/primary.xml"
size=$(stat -c %s "$work/primary.xml")
cp -R "$work/suse" "$work/badrpm"
# Arguments: exit code, name, text on stderr.
bad_repo() {
	bad_source "$1" "$2" "$3" "source s rpm $work/badrpm $key"
}
for how in zst xz plain; do
	case $how in
	zst) zstd -qf "$work/primary.xml" ;;
	xz) xz -kf "$work/primary.xml" ;;
	esac
	[ $how = plain ] && file=$work/primary.xml || file=$work/primary.xml.$how
	put_primary "$work/badrpm" "$file"
	expect 0 "a primary index of the kind $how" '' resolve "source s rpm $work/badrpm $key
kernel s default x86_64 newest 1"
done
bad_source 1 'a repository that another key signed' 'not signed by the named key' \
	"source s rpm $work/badrpm key=$work/other.gpg"
echo '<!-- -->' >> "$work/badrpm/repodata/repomd.xml"
bad_repo 1 'a repomd.xml that was changed' 'its signature is wrong'
rm "$work/badrpm/repodata/repomd.xml.asc"
bad_repo 5 'a repository without a signature' 'repomd.xml.asc: '
expect 0 'unsigned, as the list says' '' resolve "source s rpm $work/badrpm unsigned
kernel s default x86_64 newest 1"
: > "$work/badrpm/repodata/repomd.xml.asc"
bad_repo 1 'an empty signature' 'it has no signature'
put_primary "$work/badrpm" "$work/primary.xml"
rm -rf "$work/scratch"
sed -i 's/test/tost/' "$work/badrpm/repodata/primary.xml"
bad_repo 1 'a primary index that is another' 'is another file'
put_primary "$work/badrpm" "$work/primary.xml" $((size - 1))
bad_repo 5 'a primary index that unpacks to more than it says' 'unpacks to more than'
head -c 30000000 /dev/zero | gzip -c > "$work/bomb.gz"
put_primary "$work/badrpm" "$work/bomb.gz" 1000
bad_repo 5 'a decompression bomb' 'unpacks to more than 1000 bytes'
bad_source 5 'a repository that answers without end' 'larger than the' \
	"source s rpm $web/large/suse $key"

# Arguments: name, text on stderr, sed script for primary.xml.
bad_primary() {
	sed "$3" "$work/primary.xml" > "$work/p.xml"
	put_primary "$work/badrpm" "$work/p.xml"
	bad_repo 5 "$1" "$2"
}
bad_primary 'a document type' 'has a document type' 's,<metadata,<!DOCTYPE x>\n&,'
# shellcheck disable=SC2016 # sed's word
bad_primary 'a primary index that is cut' 'XML at line' '$ d'
bad_primary 'a package that leads upward' 'leads upward' 's,href=",&a/../../,'
bad_primary 'a package at an absolute path' 'absolute path' 's,href=",&/etc/,'
bad_primary 'a package in another repository' 'another repository' \
	's,<location ,&xml:base="http://127.0.0.1/" ,'
bad_primary 'a package by MD5' 'has no SHA-256' 's/type="sha256"/type="md5"/'
bad_primary 'a package without a size' 'has no size' 's/package="[0-9]*"/package="-1"/'
bad_primary 'a release that is a path' 'not usable' 's,rel="[0-9.]*",rel="../x",'
printf '<repomd><data type="primary"><location href="x"/></data></repomd>' \
	> "$work/badrpm/repodata/repomd.xml"
sign_repo "$work/badrpm"
bad_repo 5 'a repomd.xml without a hash' 'no SHA-256'
printf '<repomd></repomd>' > "$work/badrpm/repodata/repomd.xml"
sign_repo "$work/badrpm"
bad_repo 5 'a repomd.xml without a primary index' 'no primary index'

echo "# hostile rpms"
# Arguments: name, text, entries for rpm.py. Unpacks it with both builds; neighbours stay.
hostile_rpm() {
	name=$1 text=$2
	shift 2
	python3 tests/kmods/rpm.py "$work/bad.rpm" gzip "$@"
	for program in "$kmods" "$checked"; do
		rm -rf "$work/place"
		mkdir -p "$work/place/neighbour"
		echo alive > "$work/place/neighbour/canary"
		expect 5 "$name" "$text" "$program" unpack --into "$work/place/inside" \
			"$work/bad.rpm"
		now=$(cd "$work/place" && find . -path ./inside -prune -o -print | LC_ALL=C sort)
		[ "$now" = "$(printf '.\n./neighbour\n./neighbour/canary')" ] &&
			[ "$(cat "$work/place/neighbour/canary")" = alive ] &&
			[ "$(stat -c %h "$work/place/neighbour/canary")" -eq 1 ] && rc=0 || rc=1
		result "$rc" "$name: nothing is written outside"
	done
}
link='link|120777|../neighbour'
hostile_rpm 'an rpm with an absolute name' 'entry /fvol-test-escape: ' '/fvol-test-escape|100644|x'
hostile_rpm 'an rpm that leads upward' 'entry ./../neighbour/canary: ' \
	'./../neighbour/canary|100644|x'
hostile_rpm 'an rpm through a link' 'entry link/canary: ' "$link" 'link/canary|100644|x'
hostile_rpm 'an rpm with a device' 'entry dev/null: ' 'dev/null|20666|'
hostile_rpm 'an rpm with a setuid file' 'entry su: ' 'su|104755|x'
hostile_rpm 'an rpm with a file over a link' 'entry link: ' \
	'link|120777|../neighbour/canary' 'link|100644|x'
hostile_rpm 'an rpm with a second name of a link' 'hard link to link: ' \
	'link|120777|../neighbour/canary|2|9' 'two|100644|x|2|9'
hostile_rpm 'an rpm with a huge file' 'unpacks to more than' 'huge|100644|x|1|9|2000000000'
hostile_rpm 'an rpm that is cut' 'bad.rpm: ' 'cut|100644|x|1|9|5000'
python3 tests/kmods/rpm.py "$work/good.rpm" xz 'a|100644||2|9' 'b|100755|content|2|9'
expect 0 'the same tool makes an honest one' '' "$checked" unpack --into "$work/honest" \
	"$work/good.rpm"
[ "$(cat "$work/honest/a" "$work/honest/b")" = contentcontent ] && rc=0 || rc=1
result "$rc" 'its file has its content under both names'
head -c 120 "$work/good.rpm" > "$work/short.rpm"
expect 5 'an rpm that is cut in its header' 'short.rpm: its header' "$checked" unpack \
	--into "$work/into2" "$work/short.rpm"

echo "# directories and trees"
mkdir "$work/dir"
cp "$work/suse"/*.rpm "$work/deb/pool"/*.deb "$work/dir/"
expect 0 'a directory of packages' '' resolve "source s dir $work/dir
kernel s default x86_64 all
kernel s cloud x86_64 all"
grep '99-150500' "$work/lock" | cut -d ' ' -f 1-5 | diff "$work/suse.want" - > "$work/err" &&
	grep -q '^common x86_64 6.1.0-99-cloud-amd64 linux-headers-6.1.0-99-common ' \
		"$work/lock" && rc=0 || rc=1
result "$rc" 'what the packages say of themselves is what the indexes say'
fetch 0 'packages out of a directory' ''
head -c 500 "$work/suse/kernel-default-6.1.99-150500.55.7.1.x86_64.rpm" > "$work/dir/cut.rpm"
bad_source 5 'a directory with a broken rpm' 'cut.rpm: ' "source s dir $work/dir"
rm "$work/dir/cut.rpm"
echo '!<arch>' > "$work/dir/cut.deb"
bad_source 5 'a directory with a broken deb' 'cut.deb: ' "source s dir $work/dir"

tree=$work/build-tree
mkdir -p "$tree/include/config" "$tree/include/generated"
printf '#\nCONFIG_X86_64=y\n' > "$tree/include/config/auto.conf"
echo '#define UTS_RELEASE "6.1.5-own"' > "$tree/include/generated/utsrelease.h"
ln -s /lib/modules/x "$tree/source"
expect 0 'a kernel build tree' '' resolve "source s tree $tree
kernel s * x86_64 all"
grep -q "^tree x86_64 6.1.5-own kernel-tree 6.1.5-own [0-9a-f]\{64\} [0-9]* $tree\$" \
	"$work/lock" && rc=0 || rc=1
result "$rc" 'is one line of a lock file'
cp "$work/lock" "$work/lock.tree"
ln -sf /lib/modules/y "$tree/source"
resolve "source s tree $tree
kernel s * x86_64 all" 2> /dev/null
cmp -s "$work/lock" "$work/lock.tree" && rc=1 || rc=0
result "$rc" 'a tree that changed has another hash'
expect 5 'a tree of another architecture' 'is not for aarch64' resolve "source t tree $tree
kernel t * aarch64 all"
