#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs what is missing to build memprobe-bpf, by the system's package manager.
#
#   scripts/install_deps.sh [--demo] [--test] [--vm] [--print]
#
# --demo   also the program that the demo watches
# --test   also what the tests, benchmarks and checks need
# --vm     also what the tests on other kernels need (apt-get systems only)
# --print  only lists what is missing, one package a line
#
# Says nothing and asks no package server when everything is there.
set -euo pipefail

# Names as in Debian and Ubuntu. libc6-dev is only recommended by gcc.
readonly BUILD=(gcc libc6-dev make clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libyaml-dev
	libcapstone-dev libjansson-dev libiberty-dev libjs-dygraphs pkg-config)
readonly DEMO=(redis-server redis-tools)
readonly TEST=("${DEMO[@]}" g++ git libcmocka-dev clang-rt clang-format clang-tidy cppcheck shellcheck
	universal-ctags python3 python3-psutil python3-jsonschema mypy libsqlite3-0 bpftrace systemtap-sdt-dev
	util-linux procps libjemalloc2 tcmalloc mimalloc chromium stress-ng lxcfs npm)
readonly VM=(qemu-system-x86 busybox-static cpio debian-archive-keyring python3 util-linux procps
	debootstrap e2fsprogs fdisk)

die() {
	printf 'install_deps.sh: error: %s\n' "$*" >&2
	exit 1
}

# --- Debian, Ubuntu ----------------------------------------------------------

# The runtime of the sanitizers has the version of clang in its name.
apt_clang_rt() {
	local version
	version=$(apt-cache depends clang 2>/dev/null |
		sed -n 's/.*Depends: clang-\([0-9]\+\)$/\1/p' | head -n 1)
	if [ "${version:-0}" -eq 14 ] || apt-cache show "libclang-rt-${version:-0}-dev" >/dev/null 2>&1; then
		printf 'libclang-rt-%s-dev\n' "$version"
	else
		printf 'libclang-rt-dev\n'
	fi
}

# Ubuntu's /usr/sbin/bpftool is a wrapper that needs the tools of some kernel.
apt_bpftool() {
	local id=
	# shellcheck source=/dev/null
	id=$(. /etc/os-release && printf '%s' "$ID")
	if [ "$id" = ubuntu ] && ! apt-cache show bpftool 2>/dev/null | grep -q '^Filename:'; then
		printf 'linux-tools-common\nlinux-tools-generic\n'
	else
		printf 'bpftool\n'
	fi
}

# The library that headers go with, whose name changes with its version. Nothing where there
# is none: its test is skipped then.
apt_library_of() {
	{ apt-cache depends "$1" 2>/dev/null || true; } |
		sed -n "s/.*Depends: \($2[0-9.]*\(t64\)\?\)\$/\1/p"
}

apt_names() {
	local name
	for name in "$@"; do
		case $name in
		clang-rt) apt_clang_rt ;;
		bpftool) apt_bpftool ;;
		tcmalloc) apt_library_of libgoogle-perftools-dev libtcmalloc-minimal ;;
		mimalloc) apt_library_of libmimalloc-dev libmimalloc ;;
		*) printf '%s\n' "$name" ;;
		esac
	done
}

# A Node.js of other origin brings npm with it, and does not bear the distribution's.
apt_has() {
	case $1 in
	npm) command -v npm >/dev/null ;;
	*) dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii' ;;
	esac
}

apt_missing() {
	local name
	apt_names "$@" | while IFS= read -r name; do
		apt_has "$name" || printf '%s\n' "$name"
	done
}

# Packages with a service start it when installed. A policy-rc.d that says "not
# allowed" (101) is Debian's way to forbid that; one that is there already is kept.
apt_forbid_services() {
	local policy=/usr/sbin/policy-rc.d
	[ ! -e $policy ] || return 0
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

# policy-rc.d keeps a service from starting now; this keeps it from the next boot.
apt_disable_services() {
	local name
	command -v systemctl >/dev/null || return 0
	for name in redis-server lxcfs; do
		case " $* " in *" $name "*) systemctl disable "$name.service" >/dev/null 2>&1 || true ;; esac
	done
}

apt_refresh() {
	apt-get -qq update ||
		printf 'install_deps.sh: warning: package lists are not up to date; trying with those at hand\n' >&2
}

apt_install() {
	local log
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	printf 'installing: %s\n' "$*"
	apt_forbid_services
	if ! apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die 'apt-get could not install them; the reason is above'
	fi
	rm -f "$log"
	apt_disable_services "$@"
}

# --- Fedora and its kin --------------------------------------------------------

dnf_names() {
	local name
	for name in "$@"; do
		case $name in
		libc6-dev) printf 'glibc-devel\n' ;;
		libbpf-dev) printf 'libbpf-devel\nlibbpf-static\n' ;;
		libelf-dev) printf 'elfutils-libelf-devel\n' ;;
		zlib1g-dev) printf 'zlib-devel\n' ;;
		libyaml-dev) printf 'libyaml-devel\n' ;;
		libcapstone-dev) printf 'capstone-devel\n' ;;
		libjansson-dev) printf 'jansson-devel\n' ;;
		libiberty-dev) printf 'binutils-devel\n' ;;
		pkg-config) printf 'pkgconf-pkg-config\n' ;;
		g++) printf 'gcc-c++\n' ;;
		libcmocka-dev) printf 'libcmocka-devel\n' ;;
		clang-rt) printf 'compiler-rt\n' ;;
		clang-format | clang-tidy) printf 'clang-tools-extra\n' ;;
		shellcheck) printf 'ShellCheck\n' ;;
		mypy) printf 'python3-mypy\n' ;;
		universal-ctags) printf 'ctags\n' ;;
		redis-server | redis-tools) printf 'redis\n' ;;
		libsqlite3-0) printf 'sqlite-libs\n' ;;
		systemtap-sdt-dev) printf 'systemtap-sdt-devel\n' ;;
		procps) printf 'procps-ng\n' ;;
		libjemalloc2) printf 'jemalloc\n' ;;
		tcmalloc) printf 'gperftools-libs\n' ;;
		npm) printf 'nodejs-npm\n' ;;
		*) printf '%s\n' "$name" ;;
		esac
	done | sort -u
}

dnf_missing() {
	local name
	dnf_names "$@" | while IFS= read -r name; do
		rpm -q --whatprovides "$name" >/dev/null 2>&1 || printf '%s\n' "$name"
	done
}

dnf_refresh() {
	: # dnf does so by itself
}

dnf_install() {
	printf 'installing: %s\n' "$*"
	dnf -q -y install "$@" || die 'dnf could not install them; the reason is above'
}

# --- others ----------------------------------------------------------------------

explain() {
	cat >&2 <<-'TEXT'
		install_deps.sh: error: no package manager here whose names for these are known (apt-get, dnf).
		Install what provides, with headers:
		  gcc, make, clang and llvm-strip (14 or later), bpftool
		  libbpf 1.1 or later with libbpf.a, libelf, zlib, libyaml, libcapstone, libjansson, libiberty.a
		and for the tests:
		  cmocka, clang's sanitizer runtime, clang-format, clang-tidy, cppcheck, shellcheck,
		  universal-ctags, python3 with sqlite3 and psutil, mypy, redis, bpftrace, sys/sdt.h, unshare, setpriv, g++, git, npm
		then run make, or make test.
	TEXT
	exit 1
}

main() {
	local options="$*" wanted=("${BUILD[@]}") missing=() print=no tool=
	while [ $# -gt 0 ]; do
		case $1 in
		--demo) wanted+=("${DEMO[@]}") ;;
		--test) wanted+=("${TEST[@]}") ;;
		--vm) wanted+=("${VM[@]}") ;;
		--print) print=yes ;;
		*)
			printf 'usage: install_deps.sh [--demo] [--test] [--vm] [--print]\n' >&2
			exit 2
			;;
		esac
		shift
	done
	if command -v apt-get >/dev/null; then
		tool=apt
	elif command -v dnf >/dev/null; then
		tool=dnf
	else
		explain
	fi
	mapfile -t missing < <("${tool}_missing" "${wanted[@]}")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ $print = yes ]; then
		printf '%s\n' "${missing[@]}"
		return 0
	fi
	[ "$(id -u)" -eq 0 ] ||
		die "only root can install ${missing[*]}; run: sudo $0${options:+ $options}"
	"${tool}_refresh"
	# Fresh lists may know names that depend on versions better.
	mapfile -t missing < <("${tool}_missing" "${wanted[@]}")
	"${tool}_install" "${missing[@]}"
}

main "$@"
