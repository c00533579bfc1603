"""The closing summary of the conformance run, and its results as JSON for bless.py."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from typing import Any

import expectations
import pytest
from weft_cli import ROOT

RESULTS = ROOT / "target" / "onnx-results.json"


def pytest_configure(config: pytest.Config) -> None:
    """The suite writes its light models' data under $ONNX_HOME: a fresh folder per process."""
    os.environ["ONNX_HOME"] = tempfile.mkdtemp(prefix="weft-onnx-home-")


def results(terminalreporter: Any) -> list[tuple[str, str, str]]:
    """(name, outcome, detail) of every case that ran."""
    found = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                found += [tuple(value) for key, value in report.user_properties if key == "onnx"]
    return sorted(set(found))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints the counts and writes the results."""
    found = results(terminalreporter)
    if not found:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1))
    count = Counter(outcome for _, outcome, _ in found)
    plain = sum(outcome == expectations.PASSED and "_expanded" not in name for name, outcome, _ in found)
    write = terminalreporter.write_line
    terminalreporter.section("onnx.backend.test through weft")
    write(f"{len(found)} cases: {count['passed']} passed, of them {plain} not counting _expanded ones")
    write(f"refused with the operator named: {count['refused']}; refused without: {count['unnamed']}")
    write(f"mismatch: {count['mismatch']}; error: {count['error']}; crashed or hung: {count['crashed']}")
    write(f"each case and its outcome: {RESULTS.relative_to(ROOT)}")
