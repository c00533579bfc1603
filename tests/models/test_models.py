"""The real models: each is compiled once, its file removed, and one artifact in one process must agree with
onnxruntime at every size of models.json, with 1 and with 2 threads.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compare
import fetch
import inputs
import numpy as np
import onnxruntime
import pytest
import weft_cli
from onnxruntime import GraphOptimizationLevel
from weft_worker import Worker

MODELS = [row for row in fetch.rows() if "sizes" in row]
THREADS = (1, 2)


@pytest.fixture
def worker() -> Iterator[Worker]:
    """One process for all runs of a model."""
    worker = Worker()
    yield worker
    worker.close()


def reference(
    model: Path, level: GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL
) -> onnxruntime.InferenceSession:
    """onnxruntime's session, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def compiled(model: Path, folder: Path) -> Path:
    """The artifact of a copy of the model; the copy is gone afterwards."""
    copy = folder / "source" / model.name
    copy.parent.mkdir()
    shutil.copy(model, copy)
    lib = folder / "model.so"
    ended = weft_cli.compile_lib(copy, lib, timeout=300)
    assert ended.code == 0, ended.summary()
    shutil.rmtree(copy.parent)
    return lib


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row["id"])
def test_agrees_with_onnxruntime(row: dict[str, Any], tmp_path: Path, worker: Worker) -> None:
    """All sizes, one artifact, one process; the first size comes again last, after the others."""
    model = fetch.fetch(row)
    session, literal = reference(model), reference(model, GraphOptimizationLevel.ORT_DISABLE_ALL)
    artifact = worker.load(compiled(model, tmp_path))
    names = [output.name for output in session.get_outputs()]
    sizes = [*row["sizes"], row["sizes"][0]]
    wrong = []
    for seed, size in enumerate(sizes):
        values = inputs.make(row, size, seed)
        expected, again = session.run(None, values), literal.run(None, values)
        for threads in THREADS:
            found = worker.run(artifact, values, threads)
            lines = compare.differences(names, found, expected, again)
            wrong += [f"{size}, threads {threads}: {line}" for line in lines]
    assert wrong == []


def test_wrong_inputs_are_errors(tmp_path: Path, worker: Worker) -> None:
    """A wrong extent and a wrong type are told as such, and the session serves on."""
    row = fetch.row("pplcnet_orient")
    artifact = worker.load(compiled(fetch.fetch(row), tmp_path))
    good = inputs.make(row, row["sizes"][0])
    (name, values), *_ = good.items()
    for bad in (values[:, :2], values.astype(np.float64), values[0]):
        with pytest.raises(Exception, match=name):
            worker.run(artifact, {name: bad})
    assert np.isfinite(worker.run(artifact, good)[0]).all()
