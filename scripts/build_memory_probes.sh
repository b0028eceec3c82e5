#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs what is missing and builds build/memprobe-bpf.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_deps.sh
make -j"$(nproc)" all
printf 'built %s/build/memprobe-bpf\n' "$PWD"
