#!/bin/sh
# The catalogue that is there: signed, verified, added to, exported, imported, and asked for
# what a machine needs. Works on copies of the one that make built. Exit: 0 passed; 1 not.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
checked=$root/build/check/bin/kmods
reader=$root/tests/kmods/repository.py
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
# shellcheck source=/dev/null
. tests/kmods/checks.sh

if [ ! -f out/kmods/catalogue.json ]; then
	echo "FAIL catalogue: there is none: run make first"
	exit 1
fi
# One module of each architecture, without symbol files: the tests make their own.
good=$work/good
mkdir "$good"
jq --indent 2 '.modules |= [([.[] | select(.arch == "aarch64")][0]),
	([.[] | select(.arch == "x86_64")][0])] |
	.modules[] |= (.symbols_sha256 = "" | .symbols_size = 0 | .tested = false |
		.kernel_build_id = "")' out/kmods/catalogue.json > "$good/catalogue.json"
jq -r '.modules[].file' "$good/catalogue.json" > "$work/files"
while read -r file; do
	mkdir -p "$good/${file%/*}"
	cp "out/kmods/$file" "$good/$file"
done < "$work/files"
version=$(jq .catalogue_version "$good/catalogue.json")
count=2
release=$(jq -r '.modules[1].release' "$good/catalogue.json")

# Arguments: name of a copy. Prints its directory, made anew from the good one.
copy() {
	rm -rf "${work:?}/$1"
	cp -R "$good" "$work/$1"
	echo "$work/$1"
}

# Arguments: directory, jq program. Changes its catalogue, in the form that kmods writes.
change() {
	jq --indent 2 "$2" "$1/catalogue.json" > "$work/jq.out"
	cat "$work/jq.out" > "$1/catalogue.json"
}

# == verify
expect 0 'a built catalogue verifies' "version $version, $count modules" \
	"$kmods" verify "$good"
expect 0 'it says that nobody signed' 'not signed' "$kmods" verify "$good"
expect 0 'verify --json' '"good":true' "$kmods" verify --json "$good"
check 'it is one object' jq -e '.findings == [] and .signature == "none"' "$work/out"
expect 0 'the least version that it has' '' "$kmods" verify --min-version "$version" "$good"
expect 1 'a catalogue older than the least' "older than $((version + 1)), the least" \
	"$kmods" verify --min-version $((version + 1)) "$good"

expect 0 'show takes the directory' "$release" "$kmods" show "$good"
cp "$work/out" "$work/shown"
expect 0 'and the file' "$release" "$kmods" show "$good/catalogue.json"
check 'the table is the same' cmp "$work/shown" "$work/out"
d=$(copy shown)
change "$d" '.modules[-1].release = "../x"'
expect 3 'show says what it leaves out' '1 entries that are not as kmods writes them' \
	"$kmods" show "$d"
for command in show build fetch verify; do
	expect 0 "$command --help" "kmods $command " "$kmods" $command --help
done
expect 2 'a command of two lines' 'no such command: ver\x0aify' "$kmods" 'ver
ify'
expect 2 'help of no command' 'no such command' "$kmods" verfy --help
expect 2 'a catalogue too many' 'more is given than' "$kmods" verify "$good" "$good"

# Arguments: name, text that verify must print, command run in a copy ($d).
damaged() {
	d=$(copy damaged)
	export d
	sh -c "$3"
	for program in "$kmods" "$checked"; do
		label=$1
		[ "$program" = "$kmods" ] || label="$1 (sanitized)"
		expect 1 "$label" "$2" "$program" verify "$d"
	done
}
export release
# shellcheck disable=SC2016 # the inner shell expands
{
	ko='"$d/x86_64/$release/lime.ko"'
	damaged 'a module that was changed' 'the catalogue says' "printf x >> $ko"
	damaged 'a module that is missing' "x86_64/$release/lime.ko: " "rm $ko"
	damaged 'a module that is a link' 'not a regular file' \
		"mv $ko \"\$d/../ko\"; ln -s ../../../ko $ko"
	damaged 'a directory that is a link' 'x86_64' \
		'mv "$d/x86_64" "$d/../elsewhere$$"; ln -s "../elsewhere$$" "$d/x86_64"'
	damaged 'a stray file' 'extra: the catalogue does not have it' 'touch "$d/extra"'
	damaged 'a stray file beside a module' "x86_64/$release/lime.ko.partial: " \
		"touch $ko.partial"
	damaged 'a stray kernel' 'x86_64/6.9: the catalogue' 'mkdir "$d/x86_64/6.9"'
	damaged 'a stray link' 'x86_64/6.9: the catalogue' 'ln -s / "$d/x86_64/6.9"'
	damaged 'a symbol file that no entry has' 'symbols.json.xz: the catalogue' \
		'touch "$d/x86_64/$release/symbols.json.xz"'
}

# Arguments: name, text, jq program on the catalogue. The same for a changed catalogue.
lied() {
	d=$(copy lied)
	change "$d" "$3"
	expect 1 "$1" "$2" "$kmods" verify "$d"
}
lied 'another vermagic' 'its vermagic is' '.modules[-1].vermagic += "x"'
lied 'another srcversion' 'its srcversion is' '.modules[-1].srcversion = "A"'
lied 'another module build id' 'its build id is' '.modules[-1].module_build_id = "aa"'
lied 'another size' 'the catalogue says' '.modules[-1].size += 1'
lied 'a symbol file that is not there' 'symbols.json.xz' \
	'.modules[-1].symbols_sha256 = .modules[-1].sha256'
lied 'an entry that no kmods writes' '1 entries are not' '.modules[-1].release = "../x"'
d=$(copy lied)
change "$d" '.modules[-1].arch = "aarch64" | .modules[-1].release = "9.9"'
mkdir -p "$d/aarch64/9.9"
mv "$d/x86_64/$release/lime.ko" "$d/aarch64/9.9/"
rmdir "$d/x86_64/$release" "$d/x86_64"
expect 1 'a module of another architecture' 'not aarch64' "$kmods" verify "$d"
echo '{"format": 1}' > "$d/catalogue.json"
expect 5 'a catalogue of another format' 'not a catalogue of format 2' "$kmods" verify "$d"
echo '[' > "$d/catalogue.json"
expect 5 'what is not JSON' 'not JSON' "$kmods" verify "$d"
expect 5 'no catalogue' 'No such file' "$kmods" verify "$work"
# What may not be read is no answer.
d=$(copy secret)
chmod 0 "$d/x86_64/$release/lime.ko"
chmod 755 "$work"
set -- "$kmods"
[ "$(id -u)" -ne 0 ] || set -- setpriv --reuid 65534 --regid 65534 --clear-groups "$kmods"
expect 4 'a module that may not be read' 'Permission denied' "$@" verify "$d"
echo '{}' > "$d/aarch64/stray"
expect 1 'beside one that is wrong' '2 things are wrong' "$@" verify "$d"
chmod 644 "$d/x86_64/$release/lime.ko"

d=$(copy symbols)
echo '{}' | xz -c > "$d/x86_64/$release/symbols.json.xz"
sum=$(sha256sum "$d/x86_64/$release/symbols.json.xz" | cut -c 1-64)
size=$(stat -c %s "$d/x86_64/$release/symbols.json.xz")
change "$d" ".modules[-1].symbols_sha256 = \"$sum\" | .modules[-1].symbols_size = $size"
expect 0 'a symbol file' '1 with symbols' "$kmods" verify "$d"
change "$d" '.modules[].tested = false'
expect 1 'what is not boot-tested, when that is asked' 'not boot-tested' \
	"$kmods" verify --tested "$d"
change "$d" '.modules[].tested = true'
expect 0 'what is boot-tested' "$count boot-tested" "$kmods" verify --tested "$d"
printf x >> "$d/x86_64/$release/symbols.json.xz"
expect 1 'a symbol file that was changed' 'symbols.json.xz: it has' "$kmods" verify "$d"
d=$(copy symbols)
echo plain > "$d/x86_64/$release/symbols.json.xz"
sum=$(sha256sum "$d/x86_64/$release/symbols.json.xz" | cut -c 1-64)
change "$d" ".modules[-1].symbols_sha256 = \"$sum\" | .modules[-1].symbols_size = 6"
expect 1 'a symbol file that is no xz' 'it is not xz' "$kmods" verify "$d"

# == signatures, made and checked by both
for name in one two; do
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/$name.key" 2> /dev/null
	chmod 600 "$work/$name.key"
	openssl ec -in "$work/$name.key" -pubout -out "$work/$name.pem" 2> /dev/null
done
d=$(copy signed)
expect 0 'sign' 'signed by ' "$kmods" sign --sign-key "$work/one.key" "$d"
check 'stock openssl verifies it' openssl dgst -sha256 -verify "$work/one.pem" \
	-signature "$d/catalogue.json.sig" "$d/catalogue.json"
expect 0 'verify with the key' 'signature good' "$kmods" verify --key "$work/one.pem" "$d"
expect 0 'the key behind the directory' 'signature good' \
	"$kmods" verify "$d" --key "$work/one.pem"
expect 2 'an option behind it that has nothing' 'an argument is missing: --key' \
	"$kmods" verify "$d" --key
expect 2 'an option behind it that is none' 'no such option: --kei' \
	"$kmods" verify "$d" --kei "$work/one.pem"
expect 0 'verify without a key says so' 'not checked' "$kmods" verify "$d"
expect 1 'another key' 'catalogue.json.sig' "$kmods" verify --key "$work/two.pem" "$d"
expect 1 'another key, for a machine' '"signature":"bad"' \
	"$kmods" verify --json --key "$work/two.pem" "$d"
e=$(copy blocked)
mkdir "$e/catalogue.json.sig"
expect 5 'a directory in the place of the signature' 'replacing catalogue.json.sig' \
	"$kmods" sign --sign-key "$work/one.key" "$e"
check 'nothing half-written stays' [ ! -e "$e/catalogue.json.sig.partial" ]
mkdir "$work/keys"
id=$(openssl pkey -pubin -in "$work/one.pem" -outform DER | sha256sum | cut -c 1-64)
cp "$work/one.pem" "$work/keys/$id.pem"
expect 0 'a directory of trusted keys' 'signature good' \
	"$kmods" verify --keys "$work/keys" "$d"
printf ' ' >> "$d/catalogue.json"
expect 1 'a catalogue that was changed after it was signed' 'catalogue.json.sig' \
	"$kmods" verify --key "$work/one.pem" "$d"
expect 1 'a signature that is asked for and missing' 'catalogue.json.sig' \
	"$kmods" verify --key "$work/one.pem" "$good"
openssl dgst -sha256 -sign "$work/two.key" -out "$d/catalogue.json.sig" "$d/catalogue.json"
expect 0 'a signature that openssl made' 'signature good' \
	"$kmods" verify --key "$work/two.pem" "$d"
cat > "$work/hsm" <<-EOF
	#!/bin/sh
	cat > $work/digest
	exec openssl pkeyutl -sign -inkey $work/two.key -in $work/digest
EOF
chmod 755 "$work/hsm"
expect 0 'sign by a program' 'signed by ' "$kmods" sign --sign-command "$work/hsm" \
	--key "$work/two.pem" "$d"
expect 0 'its signature' 'signature good' "$kmods" verify --key "$work/two.pem" "$d"
expect 1 'a program with another key' '' "$kmods" sign --sign-command "$work/hsm" \
	--key "$work/one.pem" "$d"

d=$(copy 'two
lines')
expect 0 'a name of two lines' 'two\x0alines: version' "$kmods" verify "$d"
check 'is said in one line' [ "$(wc -l < "$work/out")" -eq 1 ]

# == add
to=$work/to
expect 0 'add to a new catalogue' '1 added' "$kmods" add --from "$good" --into "$to" \
	--arch x86_64
expect 0 'it verifies' 'version 1, 1 modules' "$kmods" verify "$to"
cp "$to/catalogue.json" "$work/before"
expect 0 'adding it again changes nothing' '0 added, 0 replaced, 1 kept' \
	"$kmods" add --from "$good" --into "$to" --arch x86_64
check 'not a byte' cmp "$work/before" "$to/catalogue.json"
"$kmods" sign --sign-key "$work/one.key" "$to" > /dev/null
expect 0 'add the rest' "$((count - 1)) added" "$kmods" add --from "$good" --into "$to"
expect 0 'the number has grown, the signature is gone' 'version 2' "$kmods" verify "$to"
check 'indeed' [ ! -e "$to/catalogue.json.sig" ]
jq .modules "$good/catalogue.json" > "$work/good.modules"
jq .modules "$to/catalogue.json" > "$work/to.modules"
check 'the entries are the same' cmp "$work/good.modules" "$work/to.modules"
d=$(copy changed)
change "$d" '.modules[-1].tested = true'
expect 0 'a module that was boot-tested meanwhile' '1 replaced' \
	"$kmods" add --from "$d" --into "$to" --arch x86_64
expect 0 'is so there' '1 boot-tested' "$kmods" verify "$to"
printf x >> "$d/x86_64/$release/lime.ko"
change "$d" '.modules[-1].tested = false'
expect 1 'a module that is not what its catalogue says' 'the catalogue says' \
	"$kmods" add --from "$d" --into "$to"
expect 0 'nothing of it is there' '1 boot-tested' "$kmods" verify "$to"
expect 1 'a kernel that is not there' 'has no such module' \
	"$kmods" add --from "$good" --into "$to" --release 9.9
expect 2 'an architecture that we do not know' 'not sparc' \
	"$kmods" add --from "$good" --into "$to" --arch sparc
# A symbol file that went bad since it was added.
d=$(copy withsymbols)
echo '{}' | xz -c > "$d/x86_64/$release/symbols.json.xz"
sum=$(sha256sum "$d/x86_64/$release/symbols.json.xz" | cut -c 1-64)
size=$(stat -c %s "$d/x86_64/$release/symbols.json.xz")
change "$d" ".modules[-1].symbols_sha256 = \"$sum\" | .modules[-1].symbols_size = $size"
e=$work/mended
"$kmods" add --from "$d" --into "$e" > /dev/null
rm "$e/x86_64/$release/symbols.json.xz"
expect 0 'a symbol file that is gone comes again' '1 replaced' \
	"$kmods" add --from "$d" --into "$e"
expect 0 'and it verifies' '1 with symbols' "$kmods" verify "$e"
d=$(copy changed)
echo '[' > "$d/catalogue.json"
expect 5 'a catalogue that cannot be read is not written over' 'not JSON' \
	"$kmods" add --from "$good" --into "$d"
check 'indeed not' [ "$(cat "$d/catalogue.json")" = '[' ]

# Ended by a signal in the middle of a file, as a full disk or kill -9 would end it.
d=$work/cut
"$kmods" add --from "$good" --into "$d" --arch aarch64 > /dev/null
cp "$d/catalogue.json" "$work/before"
(
	ulimit -f 16
	exec "$kmods" add --from "$good" --into "$d"
) > "$work/out" 2> "$work/err" && rc=1 || rc=0
result "$rc" 'an add that is ended in the middle'
check 'the catalogue is the one before' cmp "$work/before" "$d/catalogue.json"
expect 0 'its modules are whole' '1 modules' \
	"$kmods" export --orchestrator "$work/whole" --catalogue "$d"
expect 0 'the next add completes it' '1 added' "$kmods" add --from "$good" --into "$d"
expect 0 'and it verifies' '2 modules' "$kmods" verify "$d"

# == the orchestrator's layout
expect 0 'export for the orchestrator' "$count modules" \
	"$kmods" export --orchestrator "$work/orchestrator" --catalogue "$good"
check 'its name of the module' cmp "$good/x86_64/$release/lime.ko" \
	"$work/orchestrator/tools/LiME/lime-$release.ko"
expect 1 'nothing to export' 'no module of the catalogue' "$kmods" export \
	--orchestrator "$work/none" --catalogue "$good" --release 9.9
printf x >> "$work/to/x86_64/$release/lime.ko"
expect 1 'a damaged module is not exported' 'the catalogue says' \
	"$kmods" export --orchestrator "$work/none" --catalogue "$work/to"
check 'nor any before it' [ ! -e "$work/none" ]
d=$(copy self)
expect 5 'export into a catalogue' 'is a catalogue' \
	"$kmods" export --orchestrator "$d" --catalogue "$good"
expect 0 'which stays as it was' '' "$kmods" verify "$d"
expect 2 'export for an architecture that we do not know' 'not sparc' \
	"$kmods" export --orchestrator "$work/none" --catalogue "$good" --arch sparc

# == margaritashotgun's repository, read by a reader of our own making
expect 0 'export a repository' "$count modules" \
	"$kmods" export --repo "$work/repo" --catalogue "$good"
expect 0 'its reader finds the module' "$count x86_64" \
	python3 "$reader" "$work/repo" "$release" "$work/fetched.ko"
check 'it is the module' cmp "$good/x86_64/$release/lime.ko" "$work/fetched.ko"
"$kmods" export --repo "$work/again" --catalogue "$good" > /dev/null
check 'the same modules give the same bytes' diff -r "$work/repo" "$work/again"
expect 0 'a repository with one module' '1 modules' \
	"$kmods" export --repo "$work/single" --catalogue "$good" --arch x86_64
expect 0 'its reader can read that, too' '1 x86_64' \
	python3 "$reader" "$work/single" "$release" "$work/fetched.ko"

into=$work/imported
expect 0 'import' "$count added" "$kmods" import --repo "$work/repo" --into "$into"
expect 0 'what was imported verifies' "$count modules, 0 boot-tested" \
	"$kmods" verify "$into"
expect 0 'import again' "$count kept" "$kmods" import --repo "$work/repo" --into "$into"
d=$work/rotten
cp -R "$into" "$d"
printf x >> "$d/x86_64/$release/lime.ko"
expect 1 'a module that is there and damaged is told' 'the catalogue has another, but' \
	"$kmods" import --repo "$work/repo" --into "$d"
python3 "$reader" serve "$work/repo" > "$work/port" &
server=$!
for _ in $(seq 50); do
	[ ! -s "$work/port" ] || break
	sleep 0.1
done
address=http://127.0.0.1:$(cat "$work/port")
expect 0 'import from an address' '1 added' "$kmods" import --repo "$address/" \
	--into "$work/fromnet" --release "$release"
expect 0 'what came from there verifies' '1 modules' "$kmods" verify "$work/fromnet"
expect 5 'an address without a repository' 'the server says 404' \
	"$kmods" import --repo "$address/modules" --into "$work/none"
expect 1 'a repository that is older than asked for' 'older than' \
	"$kmods" import --repo "$work/repo" --into "$into" --min-revision 99
expect 1 'a kernel that the repository has not' 'no such module' \
	"$kmods" import --repo "$work/repo" --into "$into" --release 9.9

# Arguments: name, exit code, text, command run in a copy of the repository ($r); the list
# is packed and hashed anew behind it unless the command makes a file "keep".
hostile() {
	r=$work/hostile
	rm -rf "$r" "$work/victim"
	cp -R "$work/repo" "$r"
	gzip -dc "$r"/repodata/*.gz > "$r/list"
	export r
	sh -c "$4"
	if [ ! -e "$r/keep" ]; then
		rm "$r"/repodata/*.gz
		open=$(sha256sum "$r/list" | cut -c 1-64)
		gzip -nc "$r/list" > "$r/repodata/list.gz"
		packed=$(sha256sum "$r/repodata/list.gz" | cut -c 1-64)
		sed -i -e "s|<checksum>.*<|<checksum>$packed<|" \
			-e "s|<open_checksum>.*<|<open_checksum>$open<|" \
			-e 's|href="[^"]*"|href="repodata/list.gz"|' "$r/repodata/repomd.xml"
	fi
	for program in "$kmods" "$checked"; do
		label=$1
		[ "$program" = "$kmods" ] || label="$1 (sanitized)"
		rm -rf "$work/victim"
		expect "$2" "$label" "$3" "$program" import --repo "$r" --into "$work/victim"
		[ ! -e "$work/victim/catalogue.json" ] || "$kmods" verify "$work/victim" \
			> "$work/out" 2> "$work/err" || result 1 "$label: the catalogue is true"
	done
}
# shellcheck disable=SC2016 # the inner shell expands
{
	hostile 'a list with another hash' 1 'its SHA-256 is' \
		'printf x >> "$(ls "$r"/repodata/*.gz)"; touch "$r/keep"'
	hostile 'a list that unpacks to something else' 1 'unpacked, its SHA-256' \
		'sed -i "s|<open_checksum>.|<open_checksum>0|;s|<open_checksum>0\(.\{63\}\)<|<open_checksum>0\1<|" "$r/repodata/repomd.xml"; sed -i "s|<open_checksum>.*<|<open_checksum>$(printf 0%.0s $(seq 64))<|" "$r/repodata/repomd.xml"; touch "$r/keep"'
	hostile 'a repository without a list' 5 'names no whole primary list' \
		'sed -i "s/primary\"/other\"/" "$r/repodata/repomd.xml"; touch "$r/keep"'
	hostile 'a document type' 5 'document type' \
		'sed -i "1a <!DOCTYPE a [<!ENTITY b \"c\">]>" "$r/list"'
	hostile 'a list that is cut' 5 'XML at line' 'head -c 500 "$r/list" > "$r/l"; mv "$r/l" "$r/list"'
	hostile 'a module whose bytes are others' 1 'listed is' \
		'for f in "$r"/modules/*; do printf x >> "$f"; done'
	hostile 'a module that leads upward' 1 'leads upward' \
		'sed -i "s|href=\"modules/|href=\"../modules/|" "$r/list"'
	hostile 'a module by an absolute name' 1 'absolute' \
		'sed -i "s|href=\"modules/|href=\"/etc/modules/|" "$r/list"'
	hostile 'a module for another release' 1 'it is for the kernel' \
		'sed -i "s|<version>6|<version>7|" "$r/list"'
	hostile 'a release that is a path' 5 'no usable version' \
		'sed -i "s|<version>|<version>../|" "$r/list"'
	hostile 'a module listed for another architecture' 1 'listed for sparc' \
		'sed -i "s|<arch>.*<|<arch>sparc<|" "$r/list"'
	hostile 'a module that is none' 1 'ELF' \
		'for f in "$r"/modules/*.ko; do echo no > "$f"; s=$(sha256sum "$f" | cut -c 1-64); sed -i "s|<checksum>.*<|<checksum>$s<|" "$r/list"; done'
	hostile 'a hash that is none' 5 'not a SHA-256' \
		'sed -i "s|<checksum>.*<|<checksum>zz<|" "$r/list"'
	hostile 'a list that unpacks to too much' 5 'gzip data that unpack' \
		'head -c 20000000 /dev/zero > "$r/list"'
}

# == need
record() {
	cat > "$work/$1.json" <<-EOF
		{"kernel": {"release": "$2", "machine": "$3", "build_id": "$4",
		"banner": "Linux version $2 (x) #1 SMP PREEMPT_DYNAMIC x"}}
	EOF
}
d=$(copy need)
change "$d" '.modules[-1].tested = true | .modules[-1].kernel_build_id = "abcd"'
record ready "$release" x86_64 abcd
record wrong "$release" x86_64 abce
record missing 6.9.0-1-cloud-amd64 x86_64 abcd
record hostile ../../etc x86_64 abcd
record sparc "$release" sparc abcd
expect 0 'a record whose kernel has its module' "$release: ready" \
	"$kmods" need --catalogue "$d" --from "$work/ready.json"
expect 1 'a record of another build of the kernel' 'build id abcd, this kernel has abce' \
	"$kmods" need --catalogue "$d" --from "$work/wrong.json"
expect 1 'a record of a kernel that is missing' 'linux-headers-6.9.0-1-cloud-amd64' \
	"$kmods" need --catalogue "$d" --from "$work/missing.json"
expect 1 'releases and records together' '2 of 3 kernels have no module' \
	"$kmods" need --catalogue "$d" "$release" 6.9.0-1-amd64 "$work/wrong.json"
expect 1 'need --json' '"missing":2' \
	"$kmods" need --json --catalogue "$d" --lock kmods/kernels.lock \
	"$release" "$work/missing.json" "$work/wrong.json"
check 'it has a state for each, and packages' jq -e \
	'[.kernels[].state] == ["ready", "missing", "wrong"] and
	(.kernels[2].packages | length > 2)' "$work/out"
expect 1 'no catalogue at all' 'there is no catalogue' \
	"$kmods" need --catalogue "$work/nowhere" "$release"
expect 5 'a record with a release that is a path' 'not the release of a kernel' \
	"$kmods" need --catalogue "$d" --from "$work/hostile.json"
expect 5 'a record of a foreign machine' 'not a known architecture' \
	"$kmods" need --catalogue "$d" --from "$work/sparc.json"
expect 2 'a release that is none' '"a b": it is not the release' \
	"$kmods" need --catalogue "$d" 'a b'
expect 2 'need for an architecture that we do not know' '--arch is x86_64 or aarch64' \
	"$kmods" need --catalogue "$d" --arch sparc "$release"
change "$d" '.modules[-1].tested = false'
expect 0 'an untested module is told' 'untested' "$kmods" need --catalogue "$d" "$release"
expect 1 'and missing when tested ones are asked for' 'boot-tested' \
	"$kmods" need --tested --catalogue "$d" "$release"

# Packages that a source of a list offers.
mkdir "$work/packages"
awk -v r="$release" '$2 == "x86_64" && $3 == r && $1 != "image" { sub(".*/", "", $8); print $8 }' \
	build/kernels/used.lock > "$work/files"
while read -r file; do
	cp "build/dl/$file" "$work/packages/"
done < "$work/files"
printf 'source here dir %s\nkernel here * x86_64 newest 1\n' "$work/packages" > "$work/list"
expect 1 'the packages that a source offers' "linux-headers-$release " \
	"$kmods" need --catalogue "$work/nowhere" --list "$work/list" \
	--scratch "$work/index" "$release"
expect 1 'a kernel that no source offers' 'neither lock file nor list has packages' \
	"$kmods" need --catalogue "$work/nowhere" --list "$work/list" \
	--scratch "$work/index" 6.9.0-1-amd64
expect 2 'a list without a scratch directory' '--list needs --scratch' \
	"$kmods" need --catalogue "$work/nowhere" --list "$work/list" "$release"

# Only what is missing is built, and added to what is there.
d=$work/grown
"$kmods" add --from "$good" --into "$d" --arch aarch64 > /dev/null
expect 0 'need --build builds what is missing' "$release: untested" \
	"$kmods" need --build --catalogue "$d" --lock build/kernels/used.lock \
	--packages build/dl --lime build/lime/src \
	--lime-version "$(cut -d ' ' -f 1 build/lime/used)" --scratch "$work/scratch" --offline build/dl "$release"
check 'the other module was not built' [ ! -e "$work/scratch/aarch64" ]
check 'the module is the one that make built' cmp "$d/x86_64/$release/lime.ko" \
	"$good/x86_64/$release/lime.ko"
expect 0 'the catalogue is true' "$count modules" "$kmods" verify "$d"
expect 1 'need --build and a kernel that has no packages' 'neither lock file nor list has packages' \
	"$kmods" need --build --catalogue "$d" --lock build/kernels/used.lock \
	--packages build/dl --lime build/lime/src --lime-version 1 \
	--scratch "$work/scratch" 6.9.0-1-amd64
exit "${failed:?}"
