"""When two sets of outputs agree."""

from __future__ import annotations

import numpy as np

RTOL, ATOL, NORM = 1e-3, 1e-4, 1e-4


def differences(
    names: list[str], found: list[np.ndarray], expected: list[np.ndarray], norm: float = NORM
) -> list[str]:
    """What differs, one line per output; empty when all agree."""
    if len(found) != len(expected):
        return [f"found {len(found)} outputs, expected {len(expected)}"]
    lines = (difference(name, *pair, norm) for name, *pair in zip(names, found, expected, strict=True))
    return [line for line in lines if line]


def difference(name: str, found: np.ndarray, expected: np.ndarray, allowed: float = NORM) -> str | None:
    """What differs about one output."""
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return f"{name}: found {found.dtype}{found.shape}, expected {expected.dtype}{expected.shape}"
    if expected.dtype.kind != "f":
        wrong = int((found != expected).sum())
        return f"{name}: {wrong} of {expected.size} elements differ" if wrong else None
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0, np.abs(found - expected))
    if not np.isfinite(off).all():
        return f"{name}: {int((~np.isfinite(off)).sum())} of {expected.size} elements are not finite on one side only"
    outside = int((off > ATOL + RTOL * np.abs(expected)).sum())
    norm = float(np.linalg.norm(off.astype(np.float64)))
    scale = float(np.linalg.norm(expected[np.isfinite(expected)].astype(np.float64)))
    if outside or norm > allowed * scale:
        return f"{name}: {outside} of {expected.size} outside, worst {off.max():.3g}, norm {norm:.3g} of {scale:.3g}"
    return None
