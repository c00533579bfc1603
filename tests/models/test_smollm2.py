"""SmolLM2-135M: one artifact continues a prompt with the same 40 tokens as onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import smollm2
import weft_cli
from weft_worker import Worker

# <|im_start|>user / What is a compiler?<|im_end|> / <|im_start|>assistant, in the model's tokens.
PROMPT = [1, 4093, 198, 1780, 314, 253, 25316, 47, 2, 198, 1, 520, 9531, 198]
TOKENS = 40

Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


@pytest.fixture
def worker() -> Iterator[Worker]:
    """The process that runs the artifact."""
    worker = Worker()
    yield worker
    worker.close()


def greedy(run: Run, cache_names: list[str], heads: int, head: int) -> list[int]:
    """The most likely continuation: the prompt at once, then token by token with the cache."""
    cache = {name: np.zeros((1, heads, 0, head), np.float32) for name in cache_names}
    ids, tokens = np.array([PROMPT], np.int64), []
    for _ in range(TOKENS):
        logits, *present = run({"input_ids": ids, **cache})
        tokens.append(int(logits[0, -1].argmax()))
        cache = dict(zip(cache_names, present, strict=True))
        ids = np.array([[tokens[-1]]], np.int64)
    return tokens


def test_generates_the_same_tokens(tmp_path: Path, worker: Worker) -> None:
    """Prefill and decoding from one artifact, at 1 and 2 threads."""
    model = smollm2.model()
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    ports = session.get_inputs()[1:]
    shape = ([port.name for port in ports], *(ports[0].shape[axis] for axis in (1, 3)))
    expected = greedy(lambda values: session.run(None, values), *shape)
    lib = tmp_path / "model.so"
    ended = weft_cli.compile_lib(model, lib, timeout=600)
    assert ended.code == 0, ended.summary()
    artifact = worker.load(lib)
    for threads in (1, 2):
        assert greedy(lambda values: worker.run(artifact, values, threads), *shape) == expected
