"""English text as token ids of SmolLM2: Python's own manual, which every installation has.

    texts.py OUT.npy [WINDOWS] [LENGTH] [FIRST]      windows FIRST.. of so many tokens, one a row
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/models"))
import fetch  # noqa: E402
from gguf import Gguf  # noqa: E402

# Words with the blank before them, single digits, runs of marks, runs of blanks.
PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d| ?[^\s\w]+| ?_+|\s+(?!\S)|\s+")


def printable() -> dict[int, str]:
    """The character that stands for each byte in a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


class Tokenizer:
    """Byte-pair encoding with the vocabulary and the merges of a GGUF file."""

    def __init__(self, source: Gguf) -> None:
        fields = source.fields
        self._ids = {token: at for at, token in enumerate(fields["tokenizer.ggml.tokens"])}
        merges = fields["tokenizer.ggml.merges"]
        self._ranks = {tuple(merge.split(" ")): at for at, merge in enumerate(merges)}
        self._bytes = printable()
        self._word = cache(self._encode_word)

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        return [token for piece in PIECES.findall(text) for token in self._word(piece)]

    def _encode_word(self, piece: str) -> list[int]:
        parts = [self._bytes[byte] for byte in piece.encode()]
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:], strict=False))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            at = pairs.index(best)
            parts[at : at + 2] = ["".join(best)]
        return [self._ids[part] for part in parts]


def windows(count: int, length: int, first: int = 0) -> np.ndarray:
    """Windows of the manual, the topics in the order of their names."""
    tokenizer = Tokenizer(Gguf(fetch.fetch(fetch.row("smollm2"))))
    ids: list[int] = []
    for name in sorted(topics):
        ids += tokenizer.encode(topics[name])
        if len(ids) >= (first + count) * length:
            break
    return np.array(ids[first * length : (first + count) * length], np.int64).reshape(count, length)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[2:]]
    np.save(sys.argv[1], windows(*(numbers + [8, 512, 0][len(numbers) :])))
