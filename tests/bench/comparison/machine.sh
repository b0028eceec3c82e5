#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Boots the machine of the comparison, and prints what guest.py says in it.
# Started by responders, from the top of the tree:
#
#   machine.sh KERNEL MEMORY-MIB SWAP-MIB SECONDS PLAN
set -euo pipefail
shopt -s inherit_errexit

readonly PARTS=tests/bench/comparison
machine='' tmp=''

die() {
	printf 'responders: error: %s\n' "$*" >&2
	exit 1
}

. tests/vm/kernels.sh
. tests/vm/image.sh
. tests/bench/comparison/root.sh

need() {
	local name
	for name in qemu-system-x86_64 debootstrap mke2fs mkswap sfdisk; do
		command -v $name >/dev/null || die "there is no $name; run scripts/install_deps.sh --vm"
	done
	for name in build/memprobe-bpf build/bench/filler; do
		[ -x $name ] || die "there is no $name; run make all benches"
	done
}

# What changes from run to run. Our binary comes with its libraries, but for those
# of glibc, which have to be the machine's own.
write_payload() {
	local dir=$tmp/payload libraries
	mkdir -p "$dir/lib"
	cp -r $PARTS/*.py $PARTS/*.yaml build/bench/filler build/memprobe-bpf configs "$dir"
	cp "$1" "$dir/plan.json"
	mapfile -t libraries < <(libraries_of build/memprobe-bpf | grep -vE '/(ld-linux|libc\.|libm\.|libpthread)')
	cp -L "${libraries[@]}" "$dir/lib"
	mke2fs -q -t ext4 -L "$PAYLOAD_LABEL" -d "$dir" -E root_owner=0:0 "$tmp/payload.img" 96M
}

# Without swap the disk is there, but says nothing.
write_swap() {
	truncate -s 128M "$tmp/swap.img"
	[ "$1" -eq 0 ] || {
		truncate -s "$1M" "$tmp/swap.img"
		chmod 600 "$tmp/swap.img"
		mkswap --quiet "$tmp/swap.img"
	}
}

# boot SERIES KERNEL-IMAGE ROOT-IMAGE MEMORY-MIB SECONDS: disks are namespaces of
# one controller, whose driver is built into every kernel that we take.
boot() {
	local disk disks=()
	for disk in root payload swap; do
		disks+=(-device "nvme-ns,drive=$disk")
	done
	exec timeout --foreground --kill-after=5 "$5" qemu-system-x86_64 \
		-accel tcg -cpu "$(processor_for "$1")" -smp 2 -m "$4" \
		-nodefaults -no-reboot -display none \
		-serial "file:$tmp/console" -chardev stdio,id=results,signal=off -serial chardev:results \
		-drive "if=none,id=root,format=raw,snapshot=on,file=$3" \
		-drive "if=none,id=payload,format=raw,file=$tmp/payload.img" \
		-drive "if=none,id=swap,format=raw,cache=unsafe,file=$tmp/swap.img" \
		-device nvme,serial=bench "${disks[@]}" \
		-kernel "$2" -append "console=ttyS0 panic=-1 oops=panic psi=1 mitigations=off loglevel=4 \
rw rootwait root=PARTUUID=$ROOT_SIGNATURE-01 systemd.unit=responders.target" </dev/null
}

clean_up() {
	[ -z "$machine" ] || kill "$machine" 2>/dev/null || true
	if [ -s "$tmp/console" ]; then
		mkdir -p build/vm
		cp "$tmp/console" build/vm/console-responders.log
	fi
	rm -rf "$tmp"
}

main() {
	local image root series
	need
	image=$(kernel_image "$1")
	root=$(root_image)
	series=$(basename "$image" | sed -n 's/^vmlinuz-\([0-9]*\.[0-9]*\).*/\1/p')
	tmp=$(mktemp -d /tmp/mp-responders.XXXXXX)
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	write_payload "$5"
	write_swap "$3"
	boot "$series" "$image" "$root" "$2" "$4" &
	machine=$!
	wait $machine
	machine=''
}

main "$@"
