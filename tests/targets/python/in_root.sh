#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# in_root.sh ROOT FOLDER PYTHON ARG...: FOLDER/app.py by that Python, in a root of its own.
set -e
root=$1
folder=$2
python=$3
shift 3
mount --make-rprivate /
mount -t tmpfs none "$root/tmp"
mkdir "$root/tmp/app"
mount --bind "$folder" "$root/tmp/app"
mount -t proc proc "$root/proc"
export PYTHONDONTWRITEBYTECODE=1
exec chroot "$root" "$python" /tmp/app/app.py "$@"
