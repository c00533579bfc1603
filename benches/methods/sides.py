"""The sides of decode.py: each makes the tokens of one decoder, from a prompt and then one by one."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Protocol

import llama
import numpy as np
import onnxruntime
from peers import ModelTable
from weft_artifact import Artifact

PROMPT = 128


class Side(Protocol):
    """A decoder that is ready to run."""

    def prompt(self) -> None:
        """Computes the logits behind each token of the prompt."""

    def token(self) -> None:
        """Computes those behind one token more; the next call does so again."""

    def logits(self) -> np.ndarray:
        """The last ones."""


def tokens(words: int) -> np.ndarray:
    """The prompt and one token more."""
    return np.random.default_rng(0).integers(0, words, PROMPT + 1)


def past_of(name: str) -> str:
    """The input that an output becomes in the next run."""
    return name.replace("present", "past_key_values")


class Weft:
    """An artifact of weft."""

    def __init__(self, lib: Path, threads: int) -> None:
        artifact = Artifact(lib)
        self.session = artifact.open(threads)
        words, ports = artifact.outputs[0].shape[2], artifact.inputs[1:]
        ids = tokens(int(words))
        empty = {port.name: np.empty((1, port.shape[1], 0, port.shape[3]), np.float32) for port in ports}
        self.first = self.session.prepare({"input_ids": ids[None, :PROMPT], **empty})
        self.prompt()
        made = zip(artifact.outputs[1:], self.session.outputs()[1:], strict=True)
        cache = {past_of(port.name): values for port, values in made}
        self.next = self.session.prepare({"input_ids": ids[None, PROMPT:], **cache})

    def prompt(self) -> None:
        """One run of all of it."""
        self.session.run_prepared(self.first)

    def token(self) -> None:
        """One run behind the prompt's cache."""
        self.session.run_prepared(self.next)

    def logits(self) -> np.ndarray:
        """Those of the last token."""
        return self.session.outputs()[0][0, -1]


class Onnxruntime:
    """A model in onnxruntime, its tensors bound beforehand."""

    def __init__(self, model: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        outputs = self.session.get_outputs()
        ids = tokens(outputs[0].shape[2])
        empty = {port.name: np.empty((1, port.shape[1], 0, port.shape[3]), np.float32)
                 for port in self.session.get_inputs()[1:]}  # fmt: skip
        self.first = self.bound({"input_ids": ids[None, :PROMPT], **empty})
        self.prompt()
        made = zip(outputs[1:], self.first.copy_outputs_to_cpu()[1:], strict=True)
        self.next = self.bound({"input_ids": ids[None, PROMPT:], **{past_of(port.name): values for port, values in made}})

    def bound(self, values: dict[str, np.ndarray]) -> onnxruntime.IOBinding:
        """Inputs, and outputs that onnxruntime makes."""
        binding = self.session.io_binding()
        for name, array in values.items():
            binding.bind_cpu_input(name, array)
        for output in self.session.get_outputs():
            binding.bind_output(output.name)
        return binding

    def run(self, binding: onnxruntime.IOBinding) -> None:
        """One run, whose outputs are the last ones."""
        self.last = binding
        self.session.run_with_iobinding(binding)

    def prompt(self) -> None:
        """One run of all of it."""
        self.run(self.first)

    def token(self) -> None:
        """One run behind the prompt's cache."""
        self.run(self.next)

    def logits(self) -> np.ndarray:
        """Those of the last token."""
        return self.last.copy_outputs_to_cpu()[0][0, -1]


class LlamaCpp:
    """A model in llama.cpp, which keeps its cache to itself."""

    def __init__(self, model: Path, threads: int, built: Path) -> None:
        self.model = llama.Llama(model, built, threads, max(512, 2 * PROMPT))
        self.ids = tokens(self.model.words)
        self.prompt()

    def prompt(self) -> None:
        """One call with all of it."""
        self.model.append(self.ids[:PROMPT], 0)

    def token(self) -> None:
        """One call behind the prompt."""
        self.model.append(self.ids[PROMPT:], PROMPT)

    def logits(self) -> np.ndarray:
        """Those of the last token."""
        return self.model.logits()


def packed_bytes(lib: Path) -> int:
    """Bytes of all constants of an artifact."""
    return ModelTable.in_dll(ctypes.CDLL(str(lib)), "weft_model").weights_len
