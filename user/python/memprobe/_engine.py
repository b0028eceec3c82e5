# SPDX-License-Identifier: GPL-2.0-only
"""The engine: the program memprobe-bpf, which what needs more than this process is asked of."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Type

#: Exit codes of memprobe-bpf, in words.
MEANINGS = {
    1: "it ran, and what it checked does not hold",
    2: "it was called wrongly",
    3: "a config file is wrong",
    4: "a privilege is missing",
    5: "there is no such target",
    6: "the kernel or host lacks what was asked",
    7: "memory ran out",
    130: "it was interrupted",
}
RAN = (0, 1, 7, 130)  # with these there is a report


class EngineError(RuntimeError):
    """The engine is not there, refused, or failed. `exit_code` is None when it did not run."""

    def __init__(self, message: str, exit_code: Optional[int] = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MissingCommand(EngineError):
    """This version of the engine has not got the command."""


class MissingModel(EngineError):
    """models.yaml has no such model, nor one of a name like it."""


def find() -> str:
    """Path of memprobe-bpf: $MEMPROBE_BPF, the build tree's, the installed one's, the one in
    $PATH. EngineError when there is none."""
    chosen = os.environ.get("MEMPROBE_BPF")
    for place in [Path(chosen)] if chosen else _places(Path(__file__).resolve().parent):
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    if chosen:
        raise EngineError(f"MEMPROBE_BPF={chosen}: no such program")
    raise EngineError("no memprobe-bpf here: build or install it, or set MEMPROBE_BPF to its path")


def _places(package: Path) -> Iterator[Path]:
    yield package.parents[2] / "build" / "memprobe-bpf"
    if len(package.parents) > 3:
        yield package.parents[3] / "bin" / "memprobe-bpf"
    found = shutil.which("memprobe-bpf")
    if found:
        yield Path(found)


def command(*arguments: str) -> List[str]:
    """The command line, to be run by others. EngineError: there is no engine."""
    return [find(), *arguments]


class Run:
    """One run of the engine, which can be ended before its time."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        self._process = subprocess.Popen(command(*arguments), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         start_new_session=True)

    def interrupt(self) -> None:
        """As by Ctrl-C: it gives its memory back, saves its report, and ends."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def output(self) -> str:
        """Waits for the end; what it printed. EngineError when it did not do it."""
        try:
            out, err = self._process.communicate()
        except BaseException:
            self.interrupt()
            self._process.wait()
            raise
        code = self._process.returncode
        if code not in RAN:
            said = err.decode("utf-8", "replace")
            raise _kind(code, said)(describe(self._arguments, code, said), code)
        return out.decode("utf-8", "replace")


def _kind(code: int, stderr: str) -> Type[EngineError]:
    if code == 2 and "unknown command" in stderr:
        return MissingCommand
    if code == 2 and "there is no model " in stderr and "did you mean" not in stderr:
        return MissingModel
    return EngineError


def describe(arguments: Sequence[str], code: int, stderr: str) -> str:
    """One sentence about a run that failed."""
    what = f"memprobe-bpf {arguments[0]}"
    said = [line for line in stderr.splitlines() if "error:" in line] or stderr.splitlines()
    reason = said[0].partition("error: ")[2] or said[0] if said else ""
    if _kind(code, stderr) is MissingCommand:
        return f"this version of memprobe-bpf has no command {arguments[0]!r} ({find()})"
    meaning = MEANINGS.get(code, f"exit code {code}")
    return f"{what}: {reason} ({meaning})" if reason else f"{what}: {meaning}"


def run(*arguments: str) -> str:
    """Runs a command to its end; what it printed. EngineError."""
    return Run(arguments).output()


def query(*arguments: str) -> Any:
    """Runs a command with --format json; what it printed, parsed. EngineError. What is behind a
    "--" is the command's, and stays there."""
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    return _parse(run(*words[:at], "--format", "json", *words[at:]), words[0])


class Report:
    """A run that saves a report: make it, wait for result(); interrupt() from another thread ends
    it before its time, with a report."""

    def __init__(self, *arguments: str) -> None:
        self._what = arguments[0]
        self._folder = tempfile.TemporaryDirectory(prefix="memprobe-")
        try:
            self._run = Run([*arguments, "--save-report", "--report-format", "json",
                             "--output-dir", self._folder.name])
        except BaseException:
            self._folder.cleanup()
            raise

    def interrupt(self) -> None:
        """Ends it early."""
        self._run.interrupt()

    def result(self) -> Dict[str, Any]:
        """The report. EngineError: there is none."""
        with self._folder as folder:
            self._run.output()
            files = sorted(Path(folder).glob("*_memory_test.json"))
            if not files:
                raise EngineError(f"memprobe-bpf {self._what}: it saved no report")
            report = _parse(files[-1].read_text(encoding="utf-8"), self._what)
        if not isinstance(report, dict):
            raise EngineError(f"memprobe-bpf {self._what}: its report is not an object")
        return report


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"memprobe-bpf {what}: what it said is not JSON: {error}") from error
