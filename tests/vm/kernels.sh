# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Debian's kernels, by way of apt: from the mirror that this machine is set up
# with, but with lists and settings of our own, so that nothing of the system's
# package state changes and no root is needed. Sourced by run, which has die().

readonly CACHE=${MEMPROBE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memprobe-bpf/vm}
readonly SUITES='bullseye bookworm trixie trixie-backports sid'
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# The smallest flavour, made for virtual machines: all we need is built in.
readonly FLAVOUR=cloud-amd64
readonly LISTS_KEEP_MINUTES=10080

debian_mirror() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(SITE)' 'Identifier: Packages' |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }'
}

write_apt_settings() {
	local mirror suite
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || die "apt knows no Debian mirror here (is 'apt-get update' due?); give the path of a kernel image instead"
	[ -r $KEYRING ] || die "there is no $KEYRING; install debian-archive-keyring"
	mkdir -p "$CACHE/apt/none" "$CACHE/apt/lists/partial" "$CACHE/apt/archives/partial"
	: >"$CACHE/apt/status"
	for suite in $SUITES; do
		printf 'deb [signed-by=%s] %s %s main\n' $KEYRING "$mirror" "$suite"
	done >"$CACHE/apt/sources.list"
	# The system's pins are left out, too: they may hide other suites.
	cat >"$CACHE/apt/apt.conf" <<-EOT
		Dir::State "$CACHE/apt";
		Dir::State::status "$CACHE/apt/status";
		Dir::Cache "$CACHE/apt";
		Dir::Etc::sourcelist "$CACHE/apt/sources.list";
		Dir::Etc::sourceparts "$CACHE/apt/none";
		Dir::Etc::preferences "$CACHE/apt/none/preferences";
		Dir::Etc::preferencesparts "$CACHE/apt/none";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::GzipIndexes "true";
	EOT
}

own_apt() {
	local command=$1
	shift
	APT_CONFIG=$CACHE/apt/apt.conf "$command" -qq "$@"
}

# Once a week; lists that are at hand do when the mirror cannot be reached.
refresh_lists() {
	[ -z "$(find "$CACHE/apt/updated" -mmin -$LISTS_KEEP_MINUTES 2>/dev/null)" ] || return 0
	write_apt_settings
	printf 'vm: fetching lists of packages\n' >&2
	if own_apt apt-get update >"$CACHE/apt/log" 2>&1; then
		touch "$CACHE/apt/updated"
	elif [ -z "$(own_apt apt-cache pkgnames linux-image-)" ]; then
		die "no lists of packages could be had: $(tail -n 1 "$CACHE/apt/log")"
	fi
}

# The package with the newest kernel of a series ("6.1", or "newest" for any).
# Where there are both, linux-image-V (from 6.19 on) only asks for linux-binary-V.
find_package() {
	local series='[0-9]+' version name
	[ "$1" = newest ] || series=${1//./\\.}
	version=$(own_apt apt-cache search --names-only "^linux-image-$series\\.[^ ]*-$FLAVOUR\$" |
		sed 's/^linux-image-\([^ ]*\) .*/\1/' | sort -V | tail -n 1)
	[ -n "$version" ] || die "no suite of the mirror has a kernel $1 (there are: $SUITES)"
	for name in "linux-binary-$version" "linux-image-$version"; do
		if [ -n "$(own_apt apt-cache show "$name" 2>/dev/null)" ]; then
			printf '%s\n' "$name"
			return 0
		fi
	done
	die "the mirror has no package for kernel $version"
}

# fetch_kernel PACKAGE FILE
fetch_kernel() (
	dir=$(mktemp -d "$CACHE/fetch.XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	cd "$dir" || die "there is no $dir"
	printf 'vm: fetching %s\n' "$1" >&2
	own_apt apt-get download "$1" >&2
	dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards '*/vmlinuz*'
	mv "$(find . -name 'vmlinuz*' -type f | head -n 1)" "$2"
)

# Prints the path of the image of a kernel series; fetches what is not in the cache.
kernel_image() {
	local package image
	mkdir -p "$CACHE"
	refresh_lists
	package=$(find_package "$1")
	image=$CACHE/vmlinuz-${package#linux-*-}
	[ -s "$image" ] || fetch_kernel "$package" "$image"
	printf '%s\n' "$image"
}

# processor_for SERIES: QEMU 7.2 leaves chance bits in EFLAGS after cmpxchg16b, and
# up to 6.17 kernels use it so much that programs, and then the kernel, crash after
# some minutes. Later ones use it less, but cannot make BPF task storage without.
processor_for() {
	if [ "$(printf '%s\n6.18\n' "$1" | sort -V | head -n 1)" = 6.18 ]; then
		printf max
	else
		printf 'max,-cx16'
	fi
}
