"""weft as a backend of onnx.backend.test: a case is compiled by `weft compile`, its artifact runs in a worker."""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

import weft_cli
from weft_worker import Worker

COMPILE_SECONDS = 90
RUN_SECONDS = 60


class Refused(Exception):
    """`weft compile` said no, with exit code 1, and named an operator of the model."""


class Unnamed(Exception):
    """`weft compile` said no and named none of the model's operators: not a clear refusal."""


class Crashed(Exception):
    """`weft compile` ended by a signal, a panic or a hang."""


class WeftRep(BackendRep):
    """A compiled case."""

    def __init__(self, lib: Path, worker: Worker) -> None:
        self._lib = lib
        self._worker = worker

    def run(self, inputs: Any, **_kwargs: Any) -> list[np.ndarray]:
        """Runs the artifact; the case's values in the order of the model's inputs."""
        artifact = self._worker.load(self._lib, RUN_SECONDS)
        return self._worker.run(artifact, list(inputs), timeout=RUN_SECONDS)


class WeftBackend(Backend):
    """Every case compiles into a folder of its own, which is removed by `clean`."""

    worker: ClassVar[Worker] = Worker()
    folder: ClassVar[Path | None] = None
    _numbers: ClassVar[itertools.count[int]] = itertools.count()

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **_kwargs: Any) -> WeftRep:
        """Compiles the model, or raises what became of it."""
        if cls.folder is None:
            cls.folder = Path(tempfile.mkdtemp(prefix="weft-onnx-"))
        case = cls.folder / str(next(cls._numbers))
        case.mkdir()
        path = case / "model.onnx"
        path.write_bytes(model.SerializeToString())
        ended = weft_cli.compile_lib(path, case / "model.so", timeout=COMPILE_SECONDS)
        if ended.crashed or ended.code == 2:
            raise Crashed(ended.summary())
        if ended.code == 1:
            kind = Refused if names_an_operator(ended.err, model) else Unnamed
            raise kind(ended.summary())
        return WeftRep(case / "model.so", cls.worker)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """The suite's device names are CPU and CUDA."""
        return device == "CPU"

    @classmethod
    def clean(cls) -> None:
        """Removes what the last cases left."""
        if cls.folder is not None:
            shutil.rmtree(cls.folder, ignore_errors=True)
            cls.folder = None


def operators(model: onnx.ModelProto) -> set[str]:
    """The operators of a model, those in subgraphs and local functions too."""
    found: set[str] = set()
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            found.add(node.op_type)
            for attribute in node.attribute:
                waiting += [graph.node for graph in (attribute.g, *attribute.graphs)]
    return found


def names_an_operator(said: str, model: onnx.ModelProto) -> bool:
    """Whether a message names one of the model's operators as a word."""
    return any(re.search(rf"\b{re.escape(name)}\b", said) for name in operators(model))
