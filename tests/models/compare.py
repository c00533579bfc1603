"""When two sets of outputs agree."""

from __future__ import annotations

import numpy as np

RTOL, ATOL, NORM = 1e-3, 1e-4, 1e-4


def differences(
    names: list[str],
    found: list[np.ndarray],
    expected: list[np.ndarray],
    again: list[np.ndarray] | None = None,
    norm: float = NORM,
) -> list[str]:
    """What differs, one line per output; empty when all agree.

    `again` are the peer's outputs computed another way. The norm of a difference may reach what the peer differs
    from itself by: below that there is no telling who is right. Else it may be `norm` of the norm.
    """
    if len(found) != len(expected):
        return [f"found {len(found)} outputs, expected {len(expected)}"]
    rows = zip(names, found, expected, again or expected, strict=True)
    lines = (difference(name, ours, theirs, distance(theirs, twice), norm) for name, ours, theirs, twice in rows)
    return [line for line in lines if line]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """The norm of the difference, of the elements that are finite."""
    finite = np.isfinite(one) & np.isfinite(other) if one.dtype.kind == "f" else np.zeros(one.shape, bool)
    return float(np.linalg.norm(one[finite].astype(np.float64) - other[finite].astype(np.float64)))


def difference(
    name: str, found: np.ndarray, expected: np.ndarray, noise: float = 0, allowed: float = NORM
) -> str | None:
    """What differs about one output; `noise` is a norm that the expectation itself is uncertain by."""
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
    if outside or norm > max(allowed * scale, noise):
        return f"{name}: {outside} of {expected.size} outside, worst {off.max():.3g}, norm {norm:.3g} of {scale:.3g}"
    return None
