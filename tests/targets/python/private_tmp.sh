#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs a command with a /tmp of its own.
set -e
exec 3<"$0"
mount --make-rprivate /
cd /
interpreter=$1
app=$2
shift 2
mkdir -p /run/mp-app.$$
mount --bind "$(dirname "$app")" /run/mp-app.$$
mount -t tmpfs none /tmp
exec "$interpreter" "/run/mp-app.$$/$(basename "$app")" "$@"
