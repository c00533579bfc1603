#!/usr/bin/env python3
"""Writes the malformed models into a folder, one subfolder each:  write.py DIR [NAME ...]"""

from __future__ import annotations

import sys
from pathlib import Path

import building
import files  # noqa: F401: registers its cases
import sizes  # noqa: F401
import structure  # noqa: F401
import wire  # noqa: F401


def main() -> int:
    """The command line."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    for case in building.CASES:
        if len(sys.argv) > 2 and case.name not in sys.argv[2:]:
            continue
        folder = Path(sys.argv[1]) / case.name
        folder.mkdir(parents=True)
        print(f"{case.ends:8} {case.write(folder)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
