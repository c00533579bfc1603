"""Reads a GGUF file: its fields, and its tensors as float32 (types F32, Q4_1 and Q8_0)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
BLOCK = 32


class Gguf:
    """An open file; `tensor` reads one tensor."""

    def __init__(self, path: Path) -> None:
        self._data = np.memmap(path, np.uint8, "r")
        self._at = 0
        if self._data[:4].tobytes() != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        self._at = 8
        n_tensors, n_fields = self._next("QQ")
        self.fields = {self._string(): self._value(*self._next("I")) for _ in range(n_fields)}
        self._tensors: dict[str, tuple[tuple[int, ...], int, int]] = {}
        for _ in range(n_tensors):
            name, (rank,) = self._string(), self._next("I")
            shape = self._next("Q" * rank)[::-1]
            self._tensors[name] = (shape, *self._next("IQ"))
        alignment = self.fields.get("general.alignment", 32)
        self._start = -(-self._at // alignment) * alignment

    def _next(self, layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        size = struct.calcsize(layout)
        self._at += size
        return struct.unpack(layout, self._data[self._at - size : self._at].tobytes())

    def _string(self) -> str:
        (size,) = self._next("Q")
        self._at += size
        return self._data[self._at - size : self._at].tobytes().decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            kind, size = self._next("IQ")
            return [self._value(kind) for _ in range(size)]
        return self._next(SCALARS[kind])[0]

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> np.ndarray:
        """A tensor as float32."""
        shape, kind, offset = self._tensors[name]
        size = int(np.prod(shape))
        raw = self._data[self._start + offset :]
        if kind not in READERS:
            raise ValueError(f"{name}: GGUF type {kind} is not read here")
        return READERS[kind](raw, size).reshape(shape)


def halves(blocks: np.ndarray, at: int) -> np.ndarray:
    """The float16 at that byte of each block, as a column of float32."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)


def f32(raw: np.ndarray, size: int) -> np.ndarray:
    """Plain floats."""
    return raw[: 4 * size].view(np.float32).copy()


def q8_0(raw: np.ndarray, size: int) -> np.ndarray:
    """Blocks of a float16 scale and 32 signed bytes."""
    blocks = raw[: size // BLOCK * 34].reshape(-1, 34)
    return halves(blocks, 0) * np.ascontiguousarray(blocks[:, 2:]).view(np.int8)


def q4_1(raw: np.ndarray, size: int) -> np.ndarray:
    """Blocks of a float16 scale, a float16 minimum and 16 bytes; low nibbles come before high ones."""
    blocks = raw[: size // BLOCK * 20].reshape(-1, 20)
    nibbles = blocks[:, 4:]
    return halves(blocks, 0) * np.hstack([nibbles & 15, nibbles >> 4]) + halves(blocks, 2)


READERS = {0: f32, 3: q4_1, 8: q8_0}
