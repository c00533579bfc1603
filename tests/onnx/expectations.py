"""expected_failures.txt: the cases that do not pass yet, what becomes of them, and why.

A line is `NAME KIND REASON`; KIND is one of KINDS. What is not listed must pass, what is listed must end
as its KIND says. A crash or a hang cannot be listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("expected_failures.txt")
KINDS = {
    "refused": "weft compile refuses the model and names the operator",
    "unnamed": "weft compile refuses the model and names none of its operators: the message is to become better",
    "mismatch": "the artifact's answer differs",
    "error": "the artifact, or the harness around it, reports an error",
}
PASSED, CRASHED, UNNAMED = "passed", "crashed", "unnamed"


@dataclass(frozen=True)
class Expected:
    """One line of the list."""

    kind: str
    reason: str


def read(path: Path = FILE) -> dict[str, Expected]:
    """The list, by the case's name."""
    listed: dict[str, Expected] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, kind, reason = (line.split(None, 2) + ["", ""])[:3]
        if kind not in KINDS or not reason or name in listed:
            raise ValueError(f"{path}:{number}: expected `NAME {'|'.join(KINDS)} REASON`, each name once: {line}")
        listed[name] = Expected(kind, reason)
    return listed


def verdict(outcome: str, detail: str, expected: Expected | None) -> str | None:
    """What is wrong about an outcome in the light of the list; None when nothing is."""
    if outcome == CRASHED:
        return f"{outcome}: {detail}"
    if expected is None:
        return None if outcome == PASSED else f"{outcome}: {detail}"
    if outcome == PASSED:
        return "now passes: remove it from expected_failures.txt"
    if outcome != expected.kind:
        return f"listed as {expected.kind}, but {outcome}: {detail}"
    return None
