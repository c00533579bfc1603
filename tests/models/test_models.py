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
from weft_worker import Worker

MODELS = [row for row in fetch.rows() if "sizes" in row]
THREADS = (1, 2)


@pytest.fixture
def worker() -> Iterator[Worker]:
    """One process for all runs of a model."""
    worker = Worker()
    yield worker
    worker.close()


def reference(model: Path) -> onnxruntime.InferenceSession:
    """onnxruntime's session, on the CPU."""
    options = onnxruntime.SessionOptions()
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


# Models that do not agree to the tolerance at every size yet. Not strict: onnxruntime's own kernels
# differ between processors.
OPEN = {
    "ppocrv6_det": "at 1x3x96x320 the difference is 4e-4 of the norm (worst element 2e-7), at the other sizes below 1e-4",
}


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row["id"])
def test_agrees_with_onnxruntime(
    row: dict[str, Any], tmp_path: Path, worker: Worker, request: pytest.FixtureRequest
) -> None:
    """All sizes, one artifact, one process; the first size comes again last, after the others."""
    if row["id"] in OPEN:
        request.applymarker(pytest.mark.xfail(reason=OPEN[row["id"]], strict=False))
    model = fetch.fetch(row)
    session = reference(model)
    artifact = worker.load(compiled(model, tmp_path))
    names = [output.name for output in session.get_outputs()]
    sizes = [*row["sizes"], row["sizes"][0]]
    wrong = []
    for seed, size in enumerate(sizes):
        values = inputs.make(row, size, seed)
        expected = session.run(None, values)
        for threads in THREADS:
            found = worker.run(artifact, values, threads)
            wrong += [f"{size}, threads {threads}: {line}" for line in compare.differences(names, found, expected)]
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
