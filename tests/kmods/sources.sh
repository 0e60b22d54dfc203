# shellcheck shell=sh
# Makes keys, packages and archives as a distribution does. To be sourced; needs $work.
: "${work:?}"
export GNUPGHOME="$work/gpg"

# Arguments: none. Makes $work/key.gpg, key.asc and other.gpg, and their secret halves.
make_keys() {
	mkdir -m 700 "$GNUPGHOME"
	for who in test other; do
		gpg -q --batch --passphrase '' --quick-gen-key "$who@example.org" \
			ed25519 sign never 2> /dev/null
	done
	gpg -q --export test@example.org > "$work/key.gpg"
	gpg -q --armor --export test@example.org > "$work/key.asc"
	gpg -q --export other@example.org > "$work/other.gpg"
}

# Arguments: pool directory, package, version, architecture, perhaps Depends. Makes it.
make_deb() {
	dir=$work/tree
	rm -rf "$dir"
	mkdir -p "$dir/DEBIAN" "$dir/usr/src/$2" "$1"
	echo "$2 $3 $4" > "$dir/usr/src/$2/which"
	printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: test\n' "$2" "$3" \
		"$4" > "$dir/DEBIAN/control"
	[ -z "${5:-}" ] || echo "Depends: linux-base (>= 4.12~), $5, gcc-12" \
		>> "$dir/DEBIAN/control"
	printf 'Description: test\n of sources\n' >> "$dir/DEBIAN/control"
	dpkg-deb -Zxz --root-owner-group -b "$dir" "$1/$2_$3_$4.deb" > /dev/null
}

# Arguments: pool directory. The kernels 99 (cloud and generic), 100 (generic), 97, which
# lacks its common headers, and a kbuild of another suite in other/.
make_debs() {
	make_deb "$1" linux-kbuild-6.1 6.1.199-1 amd64
	make_deb "$1" linux-kbuild-6.1 6.1.200-1 amd64
	make_deb "$1/other" linux-kbuild-6.1 6.1.210-1 amd64
	make_deb "$1" linux-headers-6.1.0-99-common 6.1.199-1 all
	make_deb "$1" linux-headers-6.1.0-100-common 6.1.200-1 all
	for one in 99-cloud-amd64:6.1.199-1 99-amd64:6.1.199-1 100-amd64:6.1.200-1 \
		99-cloud-arm64:6.1.199-1 97-amd64:6.1.197-1; do
		rest=${one%:*} version=${one#*:}
		make_deb "$1" "linux-headers-6.1.0-$rest" "$version" "${rest##*-}" \
			"linux-headers-6.1.0-${rest%%-*}-common (= $version), linux-kbuild-6.1"
	done
	# Names another package only.
	make_deb "$1" linux-headers-amd64 6.1.200-1 amd64 'linux-headers-6.1.0-100-amd64'
	make_deb "$1" linux-image-6.1.0-99-cloud-amd64 6.1.199-1 amd64
	make_deb "$1" linux-image-6.1.0-99-cloud-amd64-unsigned 6.1.199-1 amd64
}

# Arguments: archive, suite, architecture, directories of packages. Writes Packages.xz.
make_index() {
	archive=$1 into=$1/dists/$2/main/binary-$3 arch=$3
	shift 3
	mkdir -p "$into"
	for deb in $(find "$@" -maxdepth 1 -name "*_$arch.deb" -o -maxdepth 1 -name '*_all.deb' |
		LC_ALL=C sort); do
		dpkg-deb -f "$deb"
		echo "Filename: ${deb#"$archive/"}"
		echo "Size: $(stat -c %s "$deb")"
		echo "SHA256: $(sha256sum < "$deb" | cut -d ' ' -f 1)"
		echo
	done | xz -c > "$into/Packages.xz"
}

# Arguments: suite's directory, suite, perhaps the end of its validity, perhaps the size to
# claim for the unpacked index. Writes Release and InRelease.
sign_release() {
	(
		cd "$1" || return
		printf 'Origin: test\nSuite: %s\nCodename: %s\n' "$2" "$2"
		[ -z "${3:-}" ] || echo "Valid-Until: $3"
		echo 'SHA256:'
		find main -name 'Packages*' | LC_ALL=C sort | while read -r file; do
			echo " $(sha256sum < "$file" | cut -d ' ' -f 1) $(stat -c %s "$file") $file"
			[ -z "${4:-}" ] || echo " $(printf '0%.0s' $(seq 64)) $4 ${file%.xz}"
		done
	) > "$1/Release.new"
	mv "$1/Release.new" "$1/Release"
	gpg -q --batch --yes -u test@example.org --clearsign -o "$1/InRelease" "$1/Release"
}

# Arguments: archive with a pool. Makes its suites stable and other.
make_archive() {
	make_index "$1" stable amd64 "$1/pool"
	make_index "$1" stable arm64 "$1/pool"
	make_index "$1" other amd64 "$1/pool/other"
	sign_release "$1/dists/stable" stable
	sign_release "$1/dists/other" other
}

# Arguments: output directory, name, architecture, lines of the preamble (Provides and the
# like), name of the directory below usr/src, perhaps flavour for a boot image. Builds an
# rpm of kernel 6.1.99-1.test by rpmbuild, with a file of two names and a link.
make_rpm() {
	cat > "$work/test.spec" <<-EOF
		Name: $2
		Version: 6.1.99
		Release: $6
		Summary: test
		License: GPL-2.0-only
		$4
		%description
		of sources
		%install
		mkdir -p %{buildroot}/$5
		echo "$2 $3" > %{buildroot}/$5/which
		echo same > %{buildroot}/$5/one
		ln %{buildroot}/$5/one %{buildroot}/$5/two
		ln -s which %{buildroot}/$5/link
		echo '#!/bin/sh' > %{buildroot}/$5/tool
		chmod 755 %{buildroot}/$5/tool
		%files
		/$5
	EOF
	mkdir -p "$1"
	rpmbuild --quiet --target "$3" -bb "$work/test.spec" \
		-D "_topdir $work/rpmbuild" -D "_rpmdir $1" -D '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		-D "_binary_payload ${7:-w6.gzdio}" -D '_build_id_links none' \
		-D '__os_install_post %{nil}' -D 'debug_package %{nil}' > "$work/rpmbuild.log" 2>&1 ||
		{ cat "$work/rpmbuild.log" >&2; return 1; }
}

# Arguments: directory of packages, perhaps options of createrepo_c. Indexes and signs it.
make_repo() {
	dir=$1
	shift
	createrepo_c -q --simple-md-filenames --no-database "$@" "$dir"
	sign_repo "$dir"
}

# Arguments: repository. Signs its repomd.xml anew.
sign_repo() {
	gpg -q --batch --yes -u test@example.org --armor --detach-sign \
		-o "$1/repodata/repomd.xml.asc" "$1/repodata/repomd.xml"
}

# Arguments: repository, file that becomes its primary index, perhaps the unpacked size to
# claim. Writes repomd.xml for it and signs that.
put_primary() {
	rm -rf "$1/repodata"
	mkdir -p "$1/repodata"
	cp "$2" "$1/repodata/"
	cat > "$1/repodata/repomd.xml" <<-EOF
		<?xml version="1.0" encoding="UTF-8"?>
		<repomd xmlns="http://linux.duke.edu/metadata/repo">
		  <data type="filelists"><checksum type="sha256">0</checksum><location href="x"/></data>
		  <data type="primary">
		    <checksum type="sha256">$(sha256sum < "$2" | cut -d ' ' -f 1)</checksum>
		    <location href="repodata/${2##*/}"/>
		    <size>$(stat -c %s "$2")</size>
		    <open-size>${3:-100000}</open-size>
		  </data>
		</repomd>
	EOF
	sign_repo "$1"
}

# Arguments: kmods, directory of Debian packages, lock file, architecture of a kernel in it,
# new release, and of which architecture the programs are. Makes a whole tree of headers,
# as Red Hat has it, of that kernel's Debian packages below $work/whole.
make_whole_tree() {
	rm -rf "$work/whole" "$work/whole.root"
	awk -v a="$4" '$2 == a && ($1 == "headers" || $1 == "common" || $1 == "kbuild") {
		sub(".*/", "", $8); print $8 }' "$3" | while read -r file; do
		"$1" unpack --into "$work/whole.root" "$2/$file" > /dev/null
	done
	cp -R "$work/whole.root"/usr/src/linux-headers-*-common "$work/whole"
	rm "$work/whole/scripts" "$work/whole/tools"
	cp -R "$work/whole.root"/usr/lib/linux-kbuild-*/. "$work/whole/"
	for flavour in "$work/whole.root"/usr/src/linux-headers-*; do
		[ "${flavour%-common}" = "$flavour" ] || continue
		old=${flavour##*/linux-headers-}
		rm "$flavour/scripts" "$flavour/tools" "$flavour/Makefile"
		cp -R "$flavour/." "$work/whole/"
	done
	grep -rlF "$old" "$work/whole/include/generated" "$work/whole/include/config" \
		"$work/whole/.kernelvariables" | xargs sed -i "s/$old/$5/g"
	rm -rf "$work/whole.root"
}

# Arguments: output directory, name, architecture, preamble, directory below the root,
# release of the package, tree. Builds an rpm of that tree, which is moved into it.
make_tree_rpm() {
	cat > "$work/test.spec" <<-EOF
		Name: $2
		Version: 6.1.99
		Release: $6
		Summary: test
		License: GPL-2.0-only
		AutoReqProv: no
		$4
		%description
		of sources
		%install
		mkdir -p %{buildroot}/${5%/*}
		mv $7 %{buildroot}/$5
		%files
		/$5
	EOF
	mkdir -p "$1"
	rpmbuild --quiet --target "$3" -bb "$work/test.spec" \
		-D "_topdir $work/rpmbuild" -D "_rpmdir $1" \
		-D '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		-D '_binary_payload w1.gzdio' -D '_build_id_links none' \
		-D '__os_install_post %{nil}' -D 'debug_package %{nil}' \
		-D '_binaries_in_noarch_packages_terminate_build 0' > "$work/rpmbuild.log" 2>&1 ||
		{ cat "$work/rpmbuild.log" >&2; return 1; }
}
