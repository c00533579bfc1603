"""A process that loads artifacts and runs them, so that a crash in one ends that case and not the tests.

The parent makes a `Worker` and calls it; run as a program, this file is the process behind it.
Messages are pickles over two pipes of its own, so what an artifact prints cannot disturb them.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

LENGTH = struct.Struct("<Q")


class ArtifactFailed(Exception):
    """The artifact reported an error of its own: a status and a message."""


class WorkerDied(Exception):
    """The process crashed or hung while it ran an artifact."""


class Worker:
    """The parent's side. The process is started when needed and again after it died."""

    def __init__(self, renew_after: int = 200) -> None:
        """`renew_after`: how many artifacts one process loads before a fresh one takes over."""
        self._renew_after = renew_after
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded = 0

    def load(self, lib: Path, timeout: float = 30) -> int:
        """Loads an artifact; the number names it in `run`. May renew the process: earlier numbers lapse then."""
        if self._loaded >= self._renew_after:
            self.close()
        self._loaded += 1
        return self._ask("load", timeout, str(lib))

    def ports(self, artifact: int, timeout: float = 30) -> tuple[list[Any], list[Any]]:
        """The artifact's inputs and outputs."""
        return self._ask("ports", timeout, artifact)

    def run(
        self, artifact: int, inputs: list[np.ndarray] | dict[str, np.ndarray], threads: int = 1, timeout: float = 60
    ) -> list[np.ndarray]:
        """Runs the artifact; its session with that many threads is made once and kept."""
        return self._ask("run", timeout, artifact, inputs, threads)

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process, self._loaded = None, 0

    def _start(self) -> subprocess.Popen[bytes]:
        self._loaded = 0
        here = Path(__file__).resolve()
        reading, answers = os.pipe()
        process = subprocess.Popen(
            [sys.executable, str(here), str(answers)], stdin=subprocess.PIPE, stdout=2,
            pass_fds=[answers], cwd=here.parent,
        )  # fmt: skip
        os.close(answers)
        self._answers = os.fdopen(reading, "rb")
        return process

    def _ask(self, what: str, timeout: float, *args: Any) -> Any:
        if self._process is None:
            self._process = self._start()
        try:
            assert self._process.stdin is not None
            send(self._process.stdin, (what, *args))
            if not select.select([self._answers], [], [], timeout)[0]:
                raise TimeoutError
            failed, answer = receive(self._answers)
        except TimeoutError:
            self.close()
            raise WorkerDied(f"hung: no answer to {what} in {timeout:.0f} s") from None
        except (EOFError, BrokenPipeError):
            raise WorkerDied(f"crashed in {what}: {self._bury()}") from None
        if failed:
            raise ArtifactFailed(answer)
        return answer

    def _bury(self) -> str:
        assert self._process is not None
        code = self._process.wait(10)
        self._process = None
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def send(stream: BinaryIO, message: Any) -> None:
    """Writes one message."""
    data = pickle.dumps(message, protocol=5)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Reads one message; EOFError when the other side is gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (size,) = LENGTH.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


class Server:
    """The process's side: the artifacts it has loaded and their sessions."""

    def __init__(self) -> None:
        self._artifacts: list[Any] = []
        self._sessions: dict[tuple[int, int], Any] = {}

    def load(self, lib: str) -> int:
        """Loads an artifact."""
        from weft_artifact import Artifact

        self._artifacts.append(Artifact(Path(lib)))
        return len(self._artifacts) - 1

    def ports(self, artifact: int) -> tuple[list[Any], list[Any]]:
        """The artifact's inputs and outputs."""
        return self._artifacts[artifact].inputs, self._artifacts[artifact].outputs

    def run(self, artifact: int, inputs: Any, threads: int) -> list[np.ndarray]:
        """Runs an artifact in its session with that many threads."""
        key = (artifact, threads)
        if key not in self._sessions:
            self._sessions[key] = self._artifacts[artifact].open(threads=threads)
        return self._sessions[key].run(inputs)


def serve(answers: BinaryIO) -> None:
    """Answers until the parent closes the pipe."""
    server = Server()
    while True:
        try:
            what, *args = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            send(answers, (False, getattr(server, what)(*args)))
        except Exception as error:
            send(answers, (True, f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "wb") as pipe:
        serve(pipe)
