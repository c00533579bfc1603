"""The public suite onnx.backend.test, every CPU case, through weft."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator

import expectations
import pytest
from onnx.backend.test import BackendTest
from weft_backend import Crashed, Refused, Unnamed, WeftBackend
from weft_worker import ArtifactFailed, WorkerDied


def cases() -> dict[str, type[unittest.TestCase]]:
    """The suite's cases for the CPU, by name, with the class that holds each."""
    found: dict[str, type[unittest.TestCase]] = {}
    for holder in BackendTest(WeftBackend, __name__).test_cases.values():
        for name in vars(holder):
            if name.startswith("test_") and name.endswith("_cpu"):
                found[name.removesuffix("_cpu")] = holder
    return found


CASES = cases()
EXPECTED = expectations.read()


def outcome_of(case: Callable[[], object]) -> tuple[str, str]:
    """Runs a case and says what became of it."""
    try:
        case()
    except (Crashed, WorkerDied) as error:
        return expectations.CRASHED, str(error)
    except Refused as error:
        return "refused", str(error)
    except Unnamed as error:
        return expectations.UNNAMED, str(error)
    except ArtifactFailed as error:
        return "error", str(error)
    except AssertionError as error:
        return "mismatch", " ".join(str(error).split())[:300]
    except Exception as error:
        return "error", f"{type(error).__name__}: {error}"[:300]
    return expectations.PASSED, ""


@pytest.fixture(autouse=True)
def cleaned() -> Iterator[None]:
    """Leaves no compiled case behind."""
    yield
    WeftBackend.clean()


@pytest.mark.parametrize("name", sorted(CASES))
def test_case(name: str, record_property: Callable[[str, object], None]) -> None:
    """One case ends as the list says."""
    outcome, detail = outcome_of(getattr(CASES[name](f"{name}_cpu"), f"{name}_cpu"))
    record_property("onnx", (name, outcome, detail))
    wrong = expectations.verdict(outcome, detail, EXPECTED.get(name))
    if wrong:
        pytest.fail(wrong, pytrace=False)
    if outcome != expectations.PASSED:
        pytest.xfail(f"{outcome}: {EXPECTED[name].reason}")


def test_the_list_names_only_cases() -> None:
    """A case that the suite no longer has is not kept in the list."""
    assert sorted(set(EXPECTED) - set(CASES)) == []
