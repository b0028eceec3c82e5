# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# A Debian root with systemd and the peers, as a disk image in the cache. It is
# built once and never written to again: what changes from run to run is on a
# second disk. Sourced by responders, which has die(), CACHE and debian_mirror.

readonly ROOT_SUITE=bookworm
readonly ROOT_PACKAGES=systemd-sysv,dbus,python3,earlyoom,nohang,systemd-oomd,oomd
readonly ROOT_MIB=768
# The disk's signature, for the kernel to find it by among the others.
readonly ROOT_SIGNATURE=6d656d70
readonly PAYLOAD_LABEL=mp-payload

# Boots to a target with nothing in it but us: responders start one at a time.
write_root_units() {
	local units=$1/etc/systemd/system
	cat >"$units/responders.target" <<-'EOT'
		[Unit]
		Requires=basic.target
		Wants=dbus.service responders.service
		AllowIsolate=yes
	EOT
	cat >"$units/responders.service" <<-EOT
		[Unit]
		After=basic.target dbus.service
		[Service]
		ExecStartPre=mkdir -p /opt/responders
		ExecStartPre=mount -o ro LABEL=$PAYLOAD_LABEL /opt/responders
		ExecStart=python3 -B /opt/responders/guest.py
		StandardError=journal+console
		OOMScoreAdjust=-1000
		Slice=-.slice
	EOT
}

mask_root_units() {
	local unit
	for unit in timers.target getty.target systemd-logind.service systemd-timesyncd.service \
		systemd-networkd.service; do
		ln -sf /dev/null "$1/etc/systemd/system/$unit"
	done
}

trim_root() {
	local root=$1
	rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man,i18n}
	rm -f "$root"/etc/systemd/system/multi-user.target.wants/*
	: >"$root/etc/fstab"
}

# pack_root FOLDER FILE: one partition at 1 MiB, which has the file system.
pack_root() {
	local image=$2
	truncate -s $((ROOT_MIB + 2))M "$image"
	printf 'label: dos\nlabel-id: 0x%s\nstart=2048, size=%dMiB, type=83\n' $ROOT_SIGNATURE $ROOT_MIB |
		sfdisk --quiet "$image"
	mke2fs -q -t ext4 -d "$1" -E offset=1048576,root_owner=0:0 "$image" ${ROOT_MIB}M
}

build_root() (
	image=$1
	[ "$(id -u)" -eq 0 ] || die 'the root of the machine is made by debootstrap, which needs root, once'
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || die "apt knows no Debian mirror here (is 'apt-get update' due?)"
	dir=$(mktemp -d "$CACHE/root.XXXXXX")
	trap 'rm -rf "$dir" "$image.part"' EXIT
	printf 'responders: building a root of Debian %s, once (a minute)\n' $ROOT_SUITE >&2
	debootstrap --variant=minbase --include=$ROOT_PACKAGES $ROOT_SUITE "$dir" "$mirror" \
		>"$CACHE/debootstrap.log" 2>&1 || die "debootstrap failed: $(tail -n 1 "$CACHE/debootstrap.log")"
	trim_root "$dir"
	write_root_units "$dir"
	mask_root_units "$dir"
	pack_root "$dir" "$image.part"
	mv "$image.part" "$image"
)

# Prints the path of the image; what this file says is part of its name.
root_image() {
	local image
	image=$CACHE/root-$ROOT_SUITE-$(sha256sum "${BASH_SOURCE[0]}" | cut -c 1-12).img
	[ -s "$image" ] || {
		mkdir -p "$CACHE"
		rm -f "$CACHE/root-$ROOT_SUITE"-*.img
		build_root "$image"
	}
	printf '%s\n' "$image"
}
