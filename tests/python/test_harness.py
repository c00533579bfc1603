"""The tests' own tools: the comparison, the list of expected failures, the made inputs."""

from __future__ import annotations

from pathlib import Path

import compare
import expectations
import fetch
import inputs
import numpy as np
import plant
import pytest
from expectations import Expected, verdict

ONES = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ONES + 2e-3, "outside"),
        (ONES + 2e-4, "norm"),
        (ONES * np.float32(np.nan), "finite"),
        (ONES.astype(np.float64), "float64"),
        (ONES[:1], "(1, 3)"),
    ],
)
def test_a_difference_is_found(found: np.ndarray, said: str) -> None:
    """Each kind of difference is told."""
    (line,) = compare.differences(["y"], [found], [ONES])
    assert said in line


def test_rounding_is_no_difference() -> None:
    """A difference within the tolerance passes; whole numbers must be equal."""
    assert compare.differences(["y"], [ONES + 5e-5], [ONES]) == []
    infinite = np.array([np.inf, -np.inf, np.nan, 1], np.float32)
    assert compare.differences(["y"], [infinite], [infinite]) == []
    whole = np.arange(3)
    assert compare.differences(["y"], [whole], [whole]) == []
    assert compare.differences(["y"], [whole], [whole + 1]) == ["y: 3 of 3 elements differ"]
    noisy = ONES * (1 + 5e-4)
    assert compare.differences(["y"], [noisy], [ONES], [ONES * (1 - 6e-4)]) == []
    assert compare.differences(["y"], [noisy], [ONES], [ONES * (1 - 4e-4)]) != []
    assert compare.differences(["y"], [], [whole]) == ["found 0 outputs, expected 1"]


def test_the_list_of_expected_failures_complains() -> None:
    """Only an unlisted pass and a listed failure of the listed kind are fine."""
    listed = Expected("refused", "not yet")
    assert verdict("passed", "", None) is None
    assert verdict("refused", "no", listed) is None
    for outcome, expected in (("passed", listed), ("mismatch", listed), ("refused", None), ("crashed", listed)):
        assert verdict(outcome, "detail", expected) is not None


def test_a_broken_list_is_an_error(tmp_path: Path) -> None:
    """A line without a reason is not accepted."""
    path = tmp_path / "list.txt"
    path.write_text("# comment\ntest_abs refused\n")
    with pytest.raises(ValueError, match="list.txt:2"):
        expectations.read(path)


@pytest.mark.parametrize("row", [row for row in fetch.rows() if "sizes" in row], ids=lambda row: row["id"])
def test_inputs_are_the_same_every_time(row: dict[str, object]) -> None:
    """Inputs depend on model, size and seed alone, and no extent is left out of the sizes."""
    for size in row["sizes"]:
        first, second = inputs.make(row, size), inputs.make(row, size)
        assert all(np.array_equal(first[name], second[name]) for name in first)
    assert len(row["sizes"]) == 1 or len(row["sizes"]) >= 3


def test_the_planted_faults_fit_the_tree() -> None:
    """There are enough of them, and each can be planted: its text stands once in its file."""
    listed = plant.faults()
    assert len(listed) >= 30
    for fault in listed:
        text = (plant.ROOT / fault.file).read_text()
        assert fault.planted(text) != text, fault.name
