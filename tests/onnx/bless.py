#!/usr/bin/env python3
"""Rewrites expected_failures.txt from the last run's results (target/onnx-results.json).

    bless.py [RESULTS]      prints what it added, removed and changed, and what cannot be listed

A reason that is there already is kept; a new line's reason is what weft said.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import expectations

RESULTS = Path(__file__).resolve().parents[2] / "target" / "onnx-results.json"
LONGEST = 300
HEAD = """# Cases of onnx.backend.test that do not pass: NAME KIND REASON (kinds: {kinds}).
# A case listed here that passes fails the suite, and so does any crash. tests/onnx/bless.py rewrites the list.
"""


PLACE = re.compile(r"`[^`]*/weft-onnx-[^`/]*/[^`]*`")
"""The file that a case was compiled from, which is another one in each run."""


def reason_of(detail: str) -> str:
    """The reason to write for a new line: what weft said, without how it ended, its lines in one."""
    said = detail.split(": ", 1)[-1] if detail.startswith("exit code") else detail
    lines = [" ".join(line.split()) for line in said.split(" | ") if not line.lstrip().startswith("help:")]
    head, *rest = [PLACE.sub("the model", line).removeprefix("error: ") for line in lines]
    return f"{head} {'; '.join(rest)}".strip()[:LONGEST] or "no message"


def stays(old: expectations.Expected | None, outcome: str) -> bool:
    """Whether a listed line still says it right."""
    return old is not None and old.kind == outcome and not PLACE.search(old.reason)


def main() -> int:
    """The command line."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    listed = expectations.read() if expectations.FILE.exists() else {}
    kept = dict(listed)
    for name, outcome, detail in json.loads(source.read_text()):
        old = kept.pop(name, None)
        if outcome in expectations.KINDS:
            kept[name] = old if stays(old, outcome) else expectations.Expected(outcome, reason_of(detail))
        elif outcome != expectations.PASSED:
            print(f"cannot be listed: {name} {outcome}: {detail}")
    lines = [f"{name} {line.kind} {line.reason}\n" for name, line in sorted(kept.items())]
    expectations.FILE.write_text(HEAD.format(kinds=", ".join(expectations.KINDS)) + "".join(lines))
    print(f"{len(kept)} cases listed; {len(set(kept) - set(listed))} new, {len(set(listed) - set(kept))} gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
