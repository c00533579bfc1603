"""Weights of 4 bits in blocks of 32, as llama.cpp's Q4_0 and onnxruntime's MatMulNBits have them; files of llama.cpp."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import ggml
import numpy as np

SIZE = 32
ALIGNMENT = 32
UINT32, FLOAT32, STRING = 4, 6, 8
Field = int | float | str


def rounded(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes of 0 to 15, which stand for 8 less, by row and block; and the scale of each block."""
    blocks = np.ascontiguousarray(matrix, np.float32).reshape(len(matrix), -1, SIZE)
    at = np.abs(blocks).argmax(axis=-1)[..., None]
    scales = (np.take_along_axis(blocks, at, -1) / -8).astype(np.float16).astype(np.float32)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales != 0)
    codes = np.clip(np.rint(blocks * inverse) + 8, 0, 15).astype(np.uint8)
    return codes, scales[..., 0]


def q4_0(matrix: np.ndarray) -> np.ndarray:
    """Blocks of llama.cpp."""
    codes, scales = rounded(matrix)
    blocks = np.empty(scales.shape, ggml.BLOCK)
    blocks["scale"], blocks["codes"] = scales, codes[..., : SIZE // 2] | codes[..., SIZE // 2 :] << 4
    return blocks


def n_bits(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Operands `B` and `scales` of onnxruntime's operator."""
    codes, scales = rounded(matrix)
    return codes[..., ::2] | codes[..., 1::2] << 4, scales


def text(value: str) -> bytes:
    """A string with its length before it."""
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def field(name: str, value: Field) -> bytes:
    """One entry of a file's table of fields."""
    match value:
        case str():
            return text(name) + struct.pack("<I", STRING) + text(value)
        case float():
            return text(name) + struct.pack("<If", FLOAT32, value)
        case _:
            return text(name) + struct.pack("<II", UINT32, value)


def write(path: Path, fields: dict[str, Field], tensors: Iterable[tuple[str, np.ndarray]]) -> None:
    """A GGUF file: matrices in blocks of 4 bits, vectors as they are."""
    table, offset, body = b"", 0, path.with_suffix(".body")
    with body.open("wb") as out:
        count = 0
        for name, array in tensors:
            kind, data = (ggml.Q4_0, q4_0(array)) if array.ndim == 2 else (ggml.F32, array.astype(np.float32))
            extents = struct.pack(f"<I{array.ndim}Q", array.ndim, *reversed(array.shape))
            table += text(name) + extents + struct.pack("<IQ", kind, offset)
            padding = -data.nbytes % ALIGNMENT
            out.write(data.tobytes() + bytes(padding))
            offset, count = offset + data.nbytes + padding, count + 1
    head = b"GGUF" + struct.pack("<IQQ", 3, count, len(fields))
    head += b"".join(field(name, value) for name, value in fields.items()) + table
    with path.open("wb") as out:
        out.write(head + bytes(-len(head) % ALIGNMENT))
        with body.open("rb") as data:
            while piece := data.read(1 << 24):
                out.write(piece)
    body.unlink()
