# SPDX-License-Identifier: GPL-2.0-only
"""systemd's $MEMORY_PRESSURE_WATCH: a file that says when there is pressure."""

import base64
import binascii
import os
import select
import socket
import stat
from typing import Mapping, Optional, Tuple

from ._backend import log


def open_watch(environ: Mapping[str, str]) -> Optional[Tuple[int, int]]:
    """A file descriptor and the poll event to wait for; None when none is asked for, or, with a
    warning, when it cannot be had. $MEMORY_PRESSURE_WRITE is written to it first."""
    path = environ.get("MEMORY_PRESSURE_WATCH", "")
    if not path or path == "/dev/null":  # systemd's way to say: off
        return None
    try:
        text = base64.b64decode(environ.get("MEMORY_PRESSURE_WRITE", ""), validate=True)
        return _open(path, text)
    except (OSError, binascii.Error, ValueError) as error:
        log.warning("MEMORY_PRESSURE_WATCH=%s is not watched: %s", path, error)
        return None


def _open(path: str, text: bytes) -> Tuple[int, int]:
    mode = os.stat(path).st_mode
    if stat.S_ISSOCK(mode):
        fd = _connect(path)
    else:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if text:
            os.write(fd, text)
    except OSError:
        os.close(fd)
        raise
    is_psi = not stat.S_ISSOCK(mode) and not stat.S_ISFIFO(mode)
    return fd, select.POLLPRI if is_psi else select.POLLIN


def _connect(path: str) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as peer:
        peer.settimeout(1.0)
        peer.connect(path)
        peer.setblocking(False)
        return peer.detach()


def drain(fd: int) -> bool:
    """Reads what a FIFO or a socket said; False at its end."""
    try:
        return bool(os.read(fd, 4096))
    except BlockingIOError:
        return True
    except OSError:
        return False
