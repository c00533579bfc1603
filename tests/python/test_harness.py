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


@pytest.mark.parametrize(
    ("code", "said", "wrong"),
    [
        (101, "test result: FAILED. 3 passed; 1 failed", None),
        (101, "error: test failed, to rerun pass `--test pool`\n  (signal: 11, SIGSEGV)", None),
        (1, "1 failed, 3 passed in 0.12s", None),
        (0, "test result: ok. 0 failed", "NOT NOTICED"),
        (101, "error: could not compile `weft`", "does not build"),
        (101, "error: no test target named `pol`", "no test failed"),
        (124, "took more than 900 s", "no test failed"),
        (127, "bash: cargo: command not found", "no test failed"),
        (5, "no tests ran in 0.01s", "no test failed"),
    ],
)
def test_only_a_failed_test_notices_a_planted_fault(code: int, said: str, wrong: str | None) -> None:
    """A tool that fails, or takes too long, says nothing about the fault."""
    fault = plant.faults()[0]
    found = plant.verdict(fault, code, said)
    assert found is None if wrong is None else wrong in (found or "")


def test_an_unknown_planted_fault_is_an_error() -> None:
    """A name that is misspelt runs nothing and says so."""
    assert [fault.name for fault in plant.chosen(["gather-from-the-end"])] == ["gather-from-the-end"]
    with pytest.raises(plant.Broken, match="did you mean `gather-from-the-end`"):
        plant.chosen(["gather-from-the-ende"])
