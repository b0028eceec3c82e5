#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs what is missing and builds build/memprobe-bpf and build/libmemprobe.so.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_deps.sh
make -j"$(nproc)" all
printf 'built %s/build/%s\n' "$PWD" memprobe-bpf "$PWD" libmemprobe.so
