#!/usr/bin/env python3
"""Plants the faults of faults.toml one at a time in a copy of the tree, and expects the tests to turn red.

    plant.py [--list] [NAME ...]      without a NAME: all of them

The copy lies in target/faults/tree and has a target folder of its own, so that builds are incremental from fault to
fault and the working tree is never touched. Each command is first run without a fault and must be green. A fault is
noticed where a test fails because of it: a build that fails, a tool that is not there, no test at all, or one that
takes too long shows nothing.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TREE = ROOT / "target" / "faults" / "tree"
TARGET = TREE.with_name("target")
NOT_BUILT = ("error: could not compile", "SyntaxError", "error[E")
FAILED = re.compile(r"^test result: FAILED|^error: test failed|\b[1-9]\d* failed\b", re.MULTILINE)
"""What `cargo test` and pytest say where a test failed; the second is of a test that ended with a signal."""
SECONDS = 900


class Broken(Exception):
    """A fault that cannot be planted, or a command that is red without one."""


@dataclass(frozen=True)
class Fault:
    """One line of text that is wrong, and the command that must notice."""

    name: str
    why: str
    file: str
    find: str
    replace: str
    red: str
    """A shell command, run in the copy, that runs tests; one of them must fail."""

    def planted(self, text: str) -> str:
        """The file's text with the fault in it."""
        if text.count(self.find) != 1:
            raise Broken(f"{self.file} holds the text to replace {text.count(self.find)} times, expected once")
        return text.replace(self.find, self.replace)


def faults() -> list[Fault]:
    """The list."""
    listed = tomllib.loads((HERE / "faults.toml").read_text()).get("fault", [])
    made = [Fault(**entry) for entry in listed]
    if len({fault.name for fault in made}) != len(made):
        raise Broken("faults.toml has a name twice")
    return made


def chosen(names: list[str]) -> list[Fault]:
    """The faults of these names, or all of them."""
    known = {fault.name: fault for fault in faults()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise Broken(f"there is no fault `{name}`" + (f", did you mean `{near[0]}`?" if near else ""))
    return [fault for fault in known.values() if not names or fault.name in names]


def copy_tree() -> None:
    """Brings the copy up to the working tree; files that are equal keep their times, so cargo rebuilds little."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    )
    wanted = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    TREE.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    for path in TREE.rglob("*"):
        if path.is_file() and not path.is_symlink() and str(path.relative_to(TREE)) not in wanted:
            path.unlink()
    for name in (".venv", ".models"):
        link = TREE / name
        if not link.is_symlink() and (ROOT / name).exists():
            link.symlink_to(ROOT / name)


def run(command: str) -> tuple[int, str]:
    """Runs a shell command in the copy; 124 is the code of one that takes too long."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "WEFT": str(TARGET / "debug" / "weft")}
    try:
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], cwd=TREE, env=environment, timeout=SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, f"took more than {SECONDS} s"
    return ended.returncode, ended.stdout.decode(errors="replace")


def check_green(commands: set[str]) -> None:
    """Every command must be green before anything is planted."""
    for command in sorted(commands):
        code, said = run(command)
        if code:
            raise Broken(f"`{command}` is red without a fault:\n{said[-3000:]}")


def plant(fault: Fault) -> str | None:
    """Plants one fault and takes it out again; what is wrong about it, or None if the tests noticed."""
    path = TREE / fault.file
    if not path.exists():
        return f"there is no {fault.file}"
    right = path.read_text()
    try:
        path.write_text(fault.planted(right))
        code, said = run(fault.red)
    except Broken as error:
        return str(error)
    finally:
        path.write_text(right)
    return verdict(fault, code, said)


def verdict(fault: Fault, code: int, said: str) -> str | None:
    """What is wrong with a command that was run with the fault, or None if a test failed."""
    if code == 0:
        return f"NOT NOTICED: `{fault.red}` stays green"
    if any(mark in said for mark in NOT_BUILT):
        return "does not build, so it shows nothing about the tests"
    if code not in (1, 101) or not FAILED.search(said):
        last = said.strip().splitlines()[-1:] or ["no word"]
        return f"no test failed, so it shows nothing about them: `{fault.red}` ended with {code}, {last[0]}"
    return None


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="show the faults and stop")
    args = parser.parse_args()
    missed = 0
    try:
        listed = chosen(args.names)
        if args.list:
            for fault in listed:
                print(f"{fault.name:32}{fault.file:44}{fault.why}")
            return 0
        copy_tree()
        check_green({fault.red for fault in listed})
    except Broken as error:
        print(f"plant.py: {error}", file=sys.stderr)
        return 1
    for fault in listed:
        start = time.monotonic()
        wrong = plant(fault)
        missed += wrong is not None
        print(f"{fault.name:32}{wrong or 'noticed'} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{len(listed) - missed} passed, {missed} failed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
