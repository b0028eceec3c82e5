# SPDX-License-Identifier: GPL-2.0-only
"""The agent in Python: the process's side of the relief protocol (docs/relief.md).

One thread listens and answers, another does the work, so that a cleanup that hangs costs the
monitor no answer: it is told what has been given back until its deadline.
"""

import os
import queue
import select
import socket
import stat
import struct
import threading
import time
from typing import Callable, Optional, Tuple

from ._backend import Pressure, log
from ._levels import SEVERITIES
from ._watch import drain, open_watch

PATH = "/tmp/.memprobe-relief.%d"
MAGIC = 0x4652504D
VERSION = 1
DONE, NOTHING, FAILED, BUSY = range(4)

REQUEST = struct.Struct("=IHHQQQ")  # magic, version, severity, id, wanted_bytes, deadline_ns
REPLY = struct.Struct("=IHHQQQII")  # magic, version, status, id, freed, duration_ns, callbacks, 0
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

PATIENCE = 1.0  #: seconds for a peer to send its request
WATCH_DEADLINE = 2.0  #: seconds for what $MEMORY_PRESSURE_WATCH asks for
WATCH_PAUSE = 1.0  #: seconds in which that is asked for once
LONGEST = 3600.0  #: seconds that a peer may wait; more is more than a wait can be told
BACKLOG = 8  #: peers that may wait while one is served
MARGIN = 0.02  #: seconds before the deadline at which the answer goes out

#: Does the work, and counts the callbacks in the job while it does.
Work = Callable[["Job"], None]


class Job:
    """One request while it is being served."""

    def __init__(self, pressure: Pressure) -> None:
        self.pressure = pressure
        self.callbacks = 0
        self.is_done = threading.Event()


def listen_at(path: str) -> socket.socket:
    """The socket, mode 0600 from the start. OSError: the path is another user's, for example."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        _remove_left_over(path)
        os.fchmod(listener.fileno(), 0o600)  # bind() gives the file this mode
        listener.bind(path)
        listener.listen(BACKLOG)
        return listener
    except OSError:
        listener.close()
        raise


def _remove_left_over(path: str) -> None:
    """A socket that an earlier process of this number left there."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def is_allowed(peer: socket.socket) -> bool:
    """Whether it is root's, or of the own user."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return CREDENTIALS.unpack(raw)[1] in (0, os.geteuid())


def read_request(peer: socket.socket) -> Optional[Tuple[int, Pressure]]:
    """The id and what is asked for; None for anything but exactly one request."""
    peer.settimeout(PATIENCE)
    data = peer.recv(REQUEST.size + 1)
    if len(data) != REQUEST.size:
        return None
    magic, version, severity, number, wanted, deadline_ns = REQUEST.unpack(data)
    if magic != MAGIC or version != VERSION or severity >= len(SEVERITIES):
        return None
    deadline = time.monotonic() + min(deadline_ns / 1e9, LONGEST)
    return number, Pressure(SEVERITIES[severity], wanted, deadline)


class Agent:
    """`work` is called in a thread of its own, once at a time; `rss` measures, in bytes."""

    def __init__(self, work: Work, rss: Callable[[], int]) -> None:
        self._work = work
        self._rss = rss
        self._path = PATH % os.getpid()
        self._listener = listen_at(self._path)
        self._wake, self._woken = socket.socketpair()
        self._watch = open_watch(os.environ)
        self._watched_at = 0.0
        self._jobs: "queue.SimpleQueue[Optional[Job]]" = queue.SimpleQueue()
        self._job: Optional[Job] = None
        self._threads = [threading.Thread(target=target, name=name, daemon=True)
                         for target, name in ((self._listen, "memprobe-agent"),
                                              (self._labour, "memprobe-relief"))]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends listening; a cleanup that hangs is left to itself."""
        self._wake.close()
        self._jobs.put(None)
        self._threads[0].join(PATIENCE + WATCH_DEADLINE)
        try:
            os.unlink(self._path)
        except OSError:
            pass  # somebody tidied up before

    def abandon(self) -> None:
        """After a fork, in the child: its threads are not there, and the path is the parent's."""
        for each in (self._listener, self._wake, self._woken):
            each.close()
        if self._watch:
            os.close(self._watch[0])

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        if self._watch:
            poll.register(*self._watch)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if self._woken.fileno() in ready:
                break
            if self._listener.fileno() in ready:
                self._accept()
            if self._watch and self._watch[0] in ready:
                self._heed(poll)
        self._listener.close()
        self._woken.close()
        if self._watch:
            os.close(self._watch[0])

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
            with peer:
                if is_allowed(peer):
                    self._serve(peer)
        except OSError as error:  # the other side is gone, or says nothing: it is asked no more
            log.debug("relief: %s", error)

    def _serve(self, peer: socket.socket) -> None:
        request = read_request(peer)
        if not request:
            return
        number, pressure = request
        begin, before = time.monotonic_ns(), self._rss()
        job = self._begin(pressure)
        status, freed, callbacks = BUSY, 0, 0
        if job:
            job.is_done.wait(max(pressure.deadline - time.monotonic() - MARGIN, 0.0))
            freed, callbacks = max(before - self._rss(), 0), job.callbacks
            status = DONE if freed else NOTHING
        peer.send(REPLY.pack(MAGIC, VERSION, status, number, freed, time.monotonic_ns() - begin,
                             callbacks, 0), socket.MSG_NOSIGNAL)

    def _begin(self, pressure: Pressure) -> Optional[Job]:
        """None: the one before is not through."""
        if self._job and not self._job.is_done.is_set():
            return None
        self._job = Job(pressure)
        self._jobs.put(self._job)
        return self._job

    def _heed(self, poll: "select.poll") -> None:
        """$MEMORY_PRESSURE_WATCH has one degree only, and may say it again and again."""
        assert self._watch is not None
        fd, event = self._watch
        if event == select.POLLIN and not drain(fd):
            poll.unregister(fd)
            os.close(fd)
            self._watch = None
            return
        now = time.monotonic()
        if now - self._watched_at >= WATCH_PAUSE:
            self._watched_at = now
            self._begin(Pressure("gc", 0, now + WATCH_DEADLINE))

    def _labour(self) -> None:
        for job in iter(self._jobs.get, None):
            try:
                self._work(job)
            except Exception:  # this thread is the only one of its kind
                log.exception("relief failed")
            finally:
                job.is_done.set()
