#!/usr/bin/env python3
"""The demo: compiles a real model that reads text into a native program, and has it read a picture.

    demo.py [--image PICTURE] [--text TEXT]      without a picture: one is drawn with the text
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import fetch
import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
import weft_cli

MODEL = "ppocrv6_rec"
HEIGHT = 48
FOLDER = weft_cli.ROOT / "target" / "demo"


def drawn(text: str) -> Image.Image:
    """A picture of one line of text."""
    font = ImageFont.load_default(size=34)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("RGB", (int(right - left) + 32, HEIGHT), "white")
    at = (16 - left, (HEIGHT - (bottom - top)) / 2 - top)
    ImageDraw.Draw(picture).text(at, text, "black", font)
    return picture


def tensor(picture: Image.Image) -> np.ndarray:
    """What the model wants: float[1, 3, 48, width], blue first, from -1 to 1."""
    width = max(HEIGHT, round(picture.width * HEIGHT / picture.height))
    pixels = np.asarray(picture.convert("RGB").resize((width, HEIGHT)), np.float32)[..., ::-1]
    return np.ascontiguousarray((pixels / 127.5 - 1).transpose(2, 0, 1)[None], np.float32)


def alphabet(model: Path) -> list[str]:
    """The characters of the model's classes, which it carries in its metadata; the first class is a blank."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return ["", *session.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]


def read(chances: np.ndarray, characters: list[str]) -> str:
    """The text: the best class of each column, repeats and blanks dropped."""
    best = chances[0].argmax(-1)
    kept = [now for now, before in zip(best, [0, *best[:-1]], strict=True) if now != before]
    return "".join(characters[index] for index in kept)


def compile_program(model: Path, program: Path) -> None:
    """`weft compile MODEL --emit exe`."""
    ended = weft_cli.run("compile", model, "--emit", "exe", "-o", program, timeout=300)
    if ended.code:
        sys.exit(f"demo: weft compile: {ended.summary()}")
    size = program.stat().st_size / 1e6
    print(f"demo: compiled {model.name} to {program.relative_to(weft_cli.ROOT)} ({size:.1f} MB) in {ended.seconds:.1f} s")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--text", default="A compiler turns models into code 2026")
    args = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    model, program = fetch.fetch(fetch.row(MODEL)), FOLDER / "read-text"
    compile_program(model, program)
    picture = Image.open(args.image) if args.image else drawn(args.text)
    picture.save(FOLDER / "picture.png")
    np.save(FOLDER / "x.npy", tensor(picture))
    start = time.perf_counter()
    command = [program, "--input", f"x={FOLDER / 'x.npy'}", "--output-dir", FOLDER / "out"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    (output,) = (FOLDER / "out").glob("*.npy")
    text = read(np.load(output), alphabet(model))
    print(f"demo: the picture {args.image or 'target/demo/picture.png'} says: {text}")
    print(f"demo: read in {seconds * 1000:.0f} ms, from the start of the program to its end")
    if not args.image and text != args.text:
        sys.exit(f"demo: expected {args.text!r}")
    print("demo: a real model became a program that needs libc alone; now try: make demo IMAGE=line-of-text.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
