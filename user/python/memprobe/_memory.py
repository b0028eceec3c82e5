# SPDX-License-Identifier: GPL-2.0-only
"""What memory a process holds and may hold, from /proc and its memory cgroups (v1, v2, both).

What is read at each sample is read from files that stay open. They are those of the process that
opened them: after a fork, forget() lets go of them.
"""

import os
import re
import resource
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ._backend import Sample
from ._levels import THRESHOLDS, severity_of

#: v1 has no "max": without a limit it says the largest whole number of pages below 2**63 bytes,
#: of pages up to 256 KiB.
V1_NO_LIMIT = 2**63 - (256 << 10)

#: Seconds for which limits, and who is in which group, are taken to be as they were.
LIMITS_AGE = 1.0
#: The same of the page cache that the kernel drops by itself; and when usage is near a threshold.
CACHE_AGE = 0.25
CACHE_AGE_NEAR = 0.02

PAGE = os.sysconf("SC_PAGE_SIZE")
READ_AT_ONCE = 4096


class Names(NamedTuple):
    """The files of a memory cgroup."""

    usage: str
    limit: str
    inactive_file: bytes  # key in memory.stat, of the group and all below


V1 = Names("memory.usage_in_bytes", "memory.limit_in_bytes", b"total_inactive_file")
V2 = Names("memory.current", "memory.max", b"inactive_file")


class Group(NamedTuple):
    """The group whose limit is reached first."""

    directory: str
    names: Names
    limit: int  # bytes


class Mount(NamedTuple):
    """A cgroup tree: where it is mounted, and the group that is seen there."""

    point: str
    root: str
    fstype: str
    options: str


def unescape(text: str) -> str:
    r"""mountinfo writes blanks, newlines and backslashes as \ooo."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def parse_mount(line: str) -> Optional[Mount]:
    """One line of mountinfo; None for what is none."""
    head, _, tail = line.rstrip("\n").partition(" - ")
    left, right = head.split(" "), tail.split(" ")
    if len(left) < 5 or len(right) < 3:
        return None
    return Mount(unescape(left[4]), unescape(left[3]), right[0], right[2])


def field(text: bytes, key: bytes) -> Optional[int]:
    """The number behind a key at the beginning of a line ("key 1" or "Key:   1 kB")."""
    match = re.search(rb"(?:^|\n)" + re.escape(key) + rb":? +(\d+)", text)
    return int(match.group(1)) if match else None


class Memory:
    """Reads below `root`, so that a recorded tree can be read as well."""

    def __init__(self, root: str = "/") -> None:
        self._root = root.rstrip("/")
        self._files: Dict[str, int] = {}
        self._group: Optional[Group] = None
        self._limits_at = 0.0
        self._cache = 0
        self._cache_at = 0.0
        self._peak = 0

    def forget(self) -> None:
        """Closes the files: those of the process that this one was forked from."""
        files, self._files = self._files, {}
        for fd in files.values():
            os.close(fd)
        self._limits_at = self._cache_at = 0.0
        self._peak = 0

    def sample(self) -> Sample:
        """All of it, now. OSError when /proc is not mounted."""
        rss = self.rss()
        self._peak = max(self._peak, rss, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
        limit, usage = self.domain()
        ratio = usage / limit if limit else 0.0
        available = max(limit - usage, 0)
        return (time.monotonic_ns(), rss, self._peak, limit, usage, available,
                ratio, severity_of(ratio), 0)

    def rss(self) -> int:
        """Resident set, bytes."""
        return int(self._read("/proc/self/statm").split(b" ", 2)[1]) * PAGE

    def domain(self) -> Tuple[int, int]:
        """Limit and usage in bytes of the group that is full first, or of the host. Usage is
        without page cache that the kernel drops by itself."""
        now = time.monotonic()
        if not self._limits_at or now - self._limits_at > LIMITS_AGE:
            self._group = self._find_group()
            self._limits_at = now
        if self._group:
            try:
                return self._group.limit, self._working_set(self._group, now)
            except OSError:  # the group went away: this process is in another now
                self._limits_at = self._cache_at = 0.0
        return self._host()

    def _host(self) -> Tuple[int, int]:
        text = self._read("/proc/meminfo")
        total, available = field(text, b"MemTotal"), field(text, b"MemAvailable")
        if total is None or available is None:
            raise OSError(0, "/proc/meminfo has no MemTotal and MemAvailable")
        return total << 10, max(total - available, 0) << 10

    def _working_set(self, group: Group, now: float) -> int:
        usage = int(self._read(os.path.join(group.directory, group.names.usage)))
        is_near = usage - self._cache >= THRESHOLDS[1] * group.limit
        age = CACHE_AGE_NEAR if is_near else CACHE_AGE
        if not self._cache_at or now - self._cache_at > age:
            stat = self._read(os.path.join(group.directory, "memory.stat"))
            self._cache = field(stat, group.names.inactive_file) or 0
            self._cache_at = now
        return max(usage - self._cache, 0)

    def _find_group(self) -> Optional[Group]:
        """None: no group has a limit below the host's memory."""
        least: Optional[Group] = None
        smallest = self._host()[0]
        for directory, names in self._groups():
            limit = self._limit(directory, names)
            if limit < smallest:
                least, smallest = Group(directory, names, limit), limit
        return least

    def _limit(self, directory: str, names: Names) -> int:
        try:
            with open(self._root + os.path.join(directory, names.limit), "rb") as file:
                text = file.read(READ_AT_ONCE).strip()
        except OSError:
            return V1_NO_LIMIT
        return int(text) if text.isdigit() else V1_NO_LIMIT

    def _groups(self) -> Iterator[Tuple[str, Names]]:
        """The memory cgroups of this process: its own first, then upwards."""
        tree = self._memory_tree()
        if not tree:
            return
        mount, names, path = tree
        while True:
            yield mount.point + path.rstrip("/"), names
            if path == "/":
                return
            path = os.path.dirname(path)

    def _memory_tree(self) -> Optional[Tuple[Mount, Names, str]]:
        """The tree that has the memory controller, and the own group's path below its mount."""
        try:
            with open(self._root + "/proc/self/mountinfo", encoding="utf-8",
                      errors="surrogateescape") as file:
                mounts = [mount for mount in map(parse_mount, file) if mount]
            with open(self._root + "/proc/self/cgroup", encoding="utf-8",
                      errors="surrogateescape") as file:
                groups = dict(line.rstrip("\n").split(":", 2)[1:] for line in file if
                              line.count(":") >= 2)
        except OSError:
            return None
        v1 = self._find_mount(mounts, "memory")
        mount = v1 or self._find_mount(mounts, None)
        own = next((path for controllers, path in groups.items()
                    if ("memory" in controllers.split(",") if v1 else not controllers)), None)
        if not mount or own is None:
            return None
        path = below(own, mount.root)
        return (mount, V1 if v1 else V2, path) if path else None

    def _find_mount(self, mounts: List[Mount], controller: Optional[str]) -> Optional[Mount]:
        """The mount of a v1 controller, or with None that of v2; of the whole tree, if any is."""
        wanted = [mount for mount in mounts if
                  (mount.fstype == "cgroup" and controller in mount.options.split(",")
                   if controller else mount.fstype == "cgroup2")]
        return next((mount for mount in wanted if mount.root == "/"), wanted[0] if wanted else None)

    def _read(self, path: str) -> bytes:
        fd = self._files.get(path)
        if fd is None:
            fd = os.open(self._root + path, os.O_RDONLY | os.O_CLOEXEC)
            self._files[path] = fd
        data = os.pread(fd, READ_AT_ONCE, 0)
        if len(data) < READ_AT_ONCE:
            return data
        while True:  # memory.stat of newer kernels is longer
            more = os.pread(fd, READ_AT_ONCE, len(data))
            if not more:
                return data
            data += more


def below(path: str, root: str) -> Optional[str]:
    """A group's path as seen below the group `root`; None when it is not in there."""
    if root == "/":
        return path if path.startswith("/") else None
    if path == root:
        return "/"
    return path[len(root):] if path.startswith(root + "/") else None
