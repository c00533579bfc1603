"""Runs the `weft` program under a time limit and a memory limit, and says how it ended."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20


def binary() -> Path:
    """The program under test: $WEFT, or the release build."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("WEFT", target / "release" / "weft"))


@dataclass(frozen=True)
class Ended:
    """How a run of weft ended."""

    code: int
    """The exit status; minus the signal's number when a signal ended it."""
    out: str
    err: str
    seconds: float
    peak_mib: float
    """The largest resident memory of the process or one of its children."""
    timed_out: bool

    @property
    def crashed(self) -> bool:
        """True for what never may happen: a signal, a panic (which weft calls an internal error), or a hang."""
        return self.code not in (0, 1, 2) or self.timed_out or "internal error" in self.err

    def summary(self) -> str:
        """One line for a report: how it ended and the head of what it said."""
        if self.timed_out:
            how = f"no answer in {self.seconds:.0f} s"
        elif self.code < 0:
            how = f"killed by {signal.Signals(-self.code).name}"
        else:
            how = f"exit code {self.code}"
        said = " | ".join(line for line in self.err.splitlines() if line.strip())
        return f"{how}: {said[:400] or '(nothing on stderr)'}"


def run(*args: str | Path, timeout: float = 120, memory_mib: int | None = None, cwd: Path | None = None) -> Ended:
    """Runs `weft ARGS`. `memory_mib` limits its address space beyond the libraries it maps.

    Findings on calibration data are not kept, unless `--cache` or $WEFT_CACHE says where.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory_mib is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_mib * MIB, memory_mib * MIB))

    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [binary(), *args], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            preexec_fn=limit, start_new_session=True, cwd=cwd, env={"WEFT_CACHE": "none", **os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        status, usage, timed_out = wait(process, timeout)
        return Ended(
            status, text(out), text(err), time.monotonic() - start, usage.ru_maxrss * 1024 / MIB, timed_out
        )


def wait(process: subprocess.Popen[bytes], timeout: float) -> tuple[int, resource.struct_rusage, bool]:
    """Waits for a process that leads its own group; after `timeout` the whole group is killed."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout, expire)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage, expired.is_set()


def text(stream: tempfile._TemporaryFileWrapper[bytes]) -> str:
    """What was written to the stream, without terminal colours."""
    stream.seek(0)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.read().decode(errors="replace"))


def compile_lib(model: Path, lib: Path, *flags: str, timeout: float = 120) -> Ended:
    """`weft compile MODEL --emit lib -o LIB`; the header lies beside the library afterwards."""
    return run("compile", model, "--emit", "lib", "-o", lib, "-q", *flags, timeout=timeout)
