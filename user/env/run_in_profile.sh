#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What follows the last of these lines is the body of each script that `env create-scripts` makes;
# these stand for the profile.
set -u

name=profile
limit=2104533975
swap=0
cpu_quota=
# --- the profile ends here
# CPU_QUOTA: microseconds of processor time in each 100000; empty: all that there is.
cpu_period=100000

usage() {
	cat <<TEXT
Usage: $0 [--force] [--] COMMAND [ARG]...

Runs a command in a memory cgroup with the limits of "$name": $limit bytes of
memory, $swap bytes of swap. With --force also when this host has less.
Exits with the command's exit code; 7: its memory ran out, 2: wrong usage,
4: a privilege is missing, 5: no such command, 6: the host lacks what is needed.
TEXT
}

note() {
	printf '%s: note: %s\n' "${0##*/}" "$*" >&2
}

die() {
	code=$1
	shift
	printf '%s: error: %s\n' "${0##*/}" "$*" >&2
	exit "$code"
}

# put TEXT FILE: what the kernel refuses is no more than a failure.
put() {
	{ printf '%s\n' "$1" >"$2"; } 2>/dev/null
}

# host_bytes KEY: of /proc/meminfo.
host_bytes() {
	while read -r key value _; do
		if [ "$key" = "$1:" ]; then
			echo $((value * 1024))
		fi
	done </proc/meminfo
}

# own_group CONTROLLER: the group that this runs in, '' for the tree of version 2.
own_group() {
	while IFS=: read -r _ controllers path; do
		case ,$controllers, in
		*",$1,"*) printf '%s\n' "${path%/}" ;;
		esac
	done </proc/self/cgroup
}

# The nearest group whose children may have limits: on version 2 none with processes of its own.
parent_v2() {
	parent=/sys/fs/cgroup$(own_group '')
	[ -d "$parent" ] || parent=/sys/fs/cgroup
	while ! grep -qw memory "$parent/cgroup.subtree_control" 2>/dev/null &&
		! put +memory "$parent/cgroup.subtree_control"; do
		[ "$parent" != /sys/fs/cgroup ] || die 4 "no group here may have limits: run this as root"
		parent=${parent%/*}
	done
	put +cpu "$parent/cgroup.subtree_control" || : # told where it is missed
}

# parent_v1 CONTROLLER
parent_v1() {
	parent=/sys/fs/cgroup/$1$(own_group "$1")
	[ -d "$parent" ] || parent=/sys/fs/cgroup/$1
}

# Its memory is given back when the last process is gone, which may take a moment.
leave() {
	# shellcheck disable=SC2317 # it is, by the trap
	for folder in "$group" "$cpu_group"; do
		[ -n "$folder" ] || continue
		rmdir "$folder" 2>/dev/null || {
			sleep 1
			rmdir "$folder" 2>/dev/null
		} || note "processes still run in $folder; remove it after the last of them"
	done
}

limit_memory() {
	put "$limit" "$group/$1" || die 6 "cannot limit $group"
	held=$(cat "$group/$1")
	case $held in
	*[!0-9]* | '') held=0 ;;
	esac
	# Whole pages, of up to 64 KiB.
	if [ "$held" -gt "$limit" ] || [ "$held" -le $((limit - 65536)) ]; then
		die 6 "the limit of $group is $held after $limit was written to it"
	fi
}

limit_swap() {
	[ "$(host_bytes SwapTotal)" -ge "$swap" ] || note "the host has less swap than \"$name\""
	if [ "$version" = 2 ]; then
		put "$swap" "$group/memory.swap.max" || note "swap is not limited: it is not accounted here"
	elif ! put $((limit + swap)) "$group/memory.memsw.limit_in_bytes"; then
		note "swap is not limited: it is not accounted here (boot with swapaccount=1)"
		[ "$swap" -ne 0 ] || put 0 "$group/memory.swappiness"
	fi
}

limit_cpu() {
	[ -n "$cpu_quota" ] || return 0
	if [ "$version" = 2 ]; then
		put "$cpu_quota $cpu_period" "$group/cpu.max" && return 0
	elif [ -d /sys/fs/cgroup/cpu ]; then
		parent_v1 cpu
		cpu_group=$parent/memprobe-env-$$
		mkdir "$cpu_group" 2>/dev/null || cpu_group=
		[ -n "$cpu_group" ] && put "$cpu_quota" "$cpu_group/cpu.cfs_quota_us" && return 0
	fi
	note "processors are not limited: there is no cpu controller here"
}

make_group() {
	group='' cpu_group=''
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		version=2 limit_file=memory.max
		parent_v2
	elif [ -d /sys/fs/cgroup/memory ]; then
		version=1 limit_file=memory.limit_in_bytes
		parent_v1 memory
	else
		die 6 "there is no memory controller in /sys/fs/cgroup (boot with cgroup_enable=memory)"
	fi
	mkdir "$parent/memprobe-env-$$" 2>/dev/null || die 4 "cannot make a group in $parent: run this as root"
	group=$parent/memprobe-env-$$
	trap leave EXIT
	trap : HUP INT TERM # the command's end is waited for
	limit_memory "$limit_file"
	limit_swap
	limit_cpu
}

force=no
case ${1-} in
--force)
	force=yes
	shift
	;;
-h | --help)
	usage
	exit 0
	;;
esac
[ "${1-}" != -- ] || shift
if [ $# -eq 0 ]; then
	usage >&2
	exit 2
fi
command -v -- "$1" >/dev/null || die 5 "$1: command not found"
if [ "$(host_bytes MemTotal)" -lt "$limit" ] && [ $force = no ]; then
	die 6 "this host has less memory than \"$name\" allows: its limit would never be reached; or --force"
fi
make_group
# shellcheck disable=SC2016 # the inner shell expands these
sh -c '
	echo $$ >"$0/cgroup.procs" || exit 4
	[ -z "$1" ] || echo $$ >"$1/cgroup.procs"
	shift
	exec "$@"' "$group" "$cpu_group" "$@"
code=$?
# 137: it was killed.
if [ $code -eq 137 ] && grep -qs '^oom_kill [1-9]' "$group/memory.events" "$group/memory.oom_control"; then
	note "its memory ran out"
	code=7
fi
exit $code
