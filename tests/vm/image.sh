# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# An initramfs with the integration tests and just what they use of this system.
# Sourced by run, which has die().

# From this system, with the libraries they need; busybox has all the others.
# The tests use options of these that busybox's have not, or probe their libc.
readonly PROGRAMS='awk bash dash echo env getconf grep mount nproc pgrep sed setpriv timeout unshare'
# The tests skip what needs these when they are not there.
readonly MORE_PROGRAMS='nm objdump objcopy strip redis-server redis-cli redis-benchmark'
readonly PYTHON_MODULES='ast, csv, ctypes, gettext, json.tool, locale, mmap, random, re, select, shutil, signal, socket, sqlite3, struct, subprocess, sys, zlib'

# copy_in ROOT FILE…: to the same place. What is a link there becomes a file.
copy_in() {
	local root=$1
	shift
	cp -L --parents "$@" "$root"
}

libraries_of() {
	ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $1 !~ /:$/ { print $1 }' | sort -u
}

copy_programs() {
	local root=$1 name path paths=()
	for name in $PROGRAMS; do
		path=$(type -P "$name") || die "there is no $name here"
		paths+=("$path")
	done
	for name in $MORE_PROGRAMS; do
		! path=$(type -P "$name") || paths+=("$path")
	done
	copy_in "$root" "${paths[@]}"
	ln -sf dash "$root/usr/bin/sh"
	mapfile -t paths < <(libraries_of "${paths[@]}" build/memprobe-bpf build/targets/* | grep -v "^$PWD/")
	copy_in "$root" "${paths[@]}"
}

# Python tells by itself where it is and which files these modules are in. The
# command may be a script that chooses one of several (pyenv).
copy_python() {
	local root=$1 files=()
	mapfile -t files < <(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
	ln -s "${files[0]}" "$root/usr/bin/python3"
	mapfile -t -O 1 files < <(libraries_of "${files[0]}")
	copy_in "$root" "${files[@]}"
	mapfile -t files < <(python3 -c "
import $PYTHON_MODULES, encodings.latin_1, encodings.idna
print(*{m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)}, sep='\n')")
	copy_in "$root" "${files[@]}"
	mapfile -t files < <(printf '%s\n' "${files[@]}" | grep '\.so$')
	mapfile -t files < <(libraries_of "${files[@]}")
	copy_in "$root" "${files[@]}"
}

# expected_skips has a column for the kernels; run.sh has none.
copy_tests() {
	local root=$1 series=$2
	mkdir -p "$root/memprobe/tests" "$root/memprobe/build/tools" "$root/memprobe/scripts"
	cp build/memprobe-bpf "$root/memprobe/build/"
	cp -P build/libmemprobe.so* build/memprobe-marker.so "$root/memprobe/build/"
	cp -r build/targets "$root/memprobe/build/"
	cp build/tools/page_keeper "$root/memprobe/build/tools/"
	cp -r configs "$root/memprobe/"
	cp scripts/*memory*.sh scripts/find_memprobe.sh "$root/memprobe/scripts/"
	cp -r tests/integration tests/llama "$root/memprobe/tests/"
	cp tests/vm/[0-9][0-9]_*.sh "$root/memprobe/tests/integration/"
	awk -v series="$series" '!/^#/ && ($1 == "*" || $1 == series) { $1 = ""; print substr($0, 2) }' \
		tests/vm/expected_skips >>"$root/memprobe/tests/integration/expected_skips"
	cp tests/vm/init "$root/init"
}

# build_image FILE SERIES PATTERN…: the tests to run are in the image, too.
build_image() (
	root=$(mktemp -d)
	trap 'rm -rf "$root"' EXIT
	image=$1 series=$2
	shift 2
	chmod 755 "$root"
	mkdir -p "$root"/{dev,proc,sys,tmp,etc,run,usr/{bin,sbin,lib,lib64}}
	for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$root/$dir"; done
	printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
	cp "$(type -P busybox)" "$root/usr/bin/busybox"
	copy_programs "$root"
	copy_python "$root"
	copy_tests "$root" "$series"
	printf '%s\n' "$series" >"$root/memprobe/series"
	printf '%s\n' "$@" >"$root/memprobe/patterns"
	# What the tests take from the environment.
	env | { grep -E '^(MP_KILLS|KILL9_SEED|MP_TEST_SECONDS)=[0-9]+$' || true; } >"$root/memprobe/environment"
	(cd "$root" && find . -print0 | cpio --quiet --null -o -H newc) >"$image"
)
