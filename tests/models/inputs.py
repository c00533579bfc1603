"""Makes the inputs that models.json describes: the same ones for the same size, on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np

Size = dict[str, int]
Arrays = dict[str, np.ndarray]


def shape_of(described: list[int | str], size: Size) -> tuple[int, ...]:
    """The described shape with its names replaced by the size's numbers."""
    return tuple(size[extent] if isinstance(extent, str) else extent for extent in described)


def mask(shape: tuple[int, ...]) -> np.ndarray:
    """Ones, with a tail of zeros in every row but the first (padding of shorter sequences)."""
    keep = [max(1, shape[1] - row * shape[1] // (shape[0] + 1)) for row in range(shape[0])]
    return np.arange(shape[1])[None, :] < np.array(keep)[:, None]


def numbers(how: dict[str, Any], size: Size) -> dict[str, Any]:
    """How to fill, with a value that is called like one of the size's numbers replaced by it."""
    return {**how, "value": size.get(how["value"], how["value"])} if "value" in how else how


def fill(how: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """An array filled as described."""
    match how["kind"]:
        case "normal":
            return rng.standard_normal(shape) * how["scale"]
        case "uniform" if dtype.kind in "iu":
            return rng.integers(how["low"], how["high"], shape)
        case "uniform":
            return rng.uniform(how["low"], how["high"], shape)
        case "constant":
            return np.full(shape, how["value"])
        case "mask":
            return mask(shape)
        case other:
            raise ValueError(f"models.json: no fill is called {other!r}")


def make(model: dict[str, Any], size: Size, seed: int = 0) -> Arrays:
    """All inputs of a model at one size."""
    rng = np.random.default_rng(seed)
    made: Arrays = {}
    for described in model["inputs"]:
        dtype = np.dtype(described["dtype"])
        values = fill(numbers(described["fill"], size), shape_of(described["shape"], size), dtype, rng)
        made[described["name"]] = np.asarray(values, dtype=dtype, order="C")
    return made
