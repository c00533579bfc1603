"""Malformed and hostile models: `weft compile` ends with exit code 1 and a clear message, or compiles what is
right; never a signal, a panic, a hang, or more than a gibibyte of memory. `write.py DIR` writes the models out.
"""

from __future__ import annotations

import re
from pathlib import Path

import building
import declared  # noqa: F401: registers its cases
import files  # noqa: F401
import numpy as np
import pytest
import sizes  # noqa: F401
import structure  # noqa: F401
import weft_cli
import wire  # noqa: F401
from building import CASES, REFUSED, VALID, Case
from weft_worker import ArtifactFailed, Worker

SECONDS = 60
MEMORY_MIB = 1024
ADDRESS_SPACE_MIB = 8 * MEMORY_MIB
"""A limit that a runaway allocation meets, with room for the libraries that are mapped and not read."""


def mentioned(word: str, text: str) -> bool:
    """Whether a text holds a word; a short one must stand alone."""
    if len(word) > 2:
        return word.lower() in text.lower()
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def complaint(case: Case, ended: weft_cli.Ended) -> str | None:
    """What is wrong about how the compiler ended; None when nothing is."""
    if ended.crashed or ended.code == 2:
        return ended.summary()
    if ended.peak_mib > MEMORY_MIB:
        return f"took {ended.peak_mib:.0f} MiB"
    if (case.ends, ended.code) in ((REFUSED, 0), (VALID, 1)):
        return f"expected the model to be {case.ends}: {ended.summary()}"
    if ended.code == 1 and len(ended.err.strip()) < 15:
        return f"no message: {ended.err!r}"
    if ended.code == 1 and not any(mentioned(word, ended.err) for word in case.mentions):
        return f"the message mentions none of {case.mentions}: {ended.summary()}"
    return None


def run(lib: Path) -> None:
    """Runs an artifact on ones and zeros; it may report an error, the worker may not die."""
    worker = Worker()
    try:
        artifact = worker.load(lib)
        ports, _ = worker.ports(artifact)
        shapes = [[extent if isinstance(extent, int) else 2 for extent in port.shape] for port in ports]
        values = [np.full(shape, 1 - index, port.dtype) for index, (port, shape) in enumerate(zip(ports, shapes))]
        worker.run(artifact, values, threads=2)
    except ArtifactFailed:
        pass
    finally:
        worker.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path) -> None:
    """One model, in a folder of its own, which holds nothing unexpected afterwards."""
    folder = tmp_path / "model"
    folder.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    path = case.write(folder)
    before = set(tmp_path.rglob("*"))
    args = ("compile", path, "--emit", "lib", "-o", out / "model.so", "-q")
    ended = weft_cli.run(*args, timeout=SECONDS, memory_mib=ADDRESS_SPACE_MIB, cwd=folder)
    wrong = complaint(case, ended)
    if wrong:
        pytest.fail(wrong, pytrace=False)
    strays = [path for path in set(tmp_path.rglob("*")) - before if path.parent != out]
    assert strays == [], "files were written outside the output's folder"
    if ended.code == 0 and case.runs:
        run(out / "model.so")


def test_there_are_enough_kinds() -> None:
    """The acceptance asks for sixty refused ones; names are the kinds."""
    refused = {case.name for case in CASES if case.ends == REFUSED}
    assert len(refused) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.mentions for case in CASES if case.ends != VALID), "each refusal must be about something"
    assert building.CASES is CASES
