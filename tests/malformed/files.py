"""Weights in files of their own: outside the model's folder, missing, or with offsets that lie."""

from __future__ import annotations

import os
from pathlib import Path

from building import FLOAT, VALID, case, model, node
from onnx import ModelProto, TensorProto

BYTES = 24


def external(**entries: object) -> ModelProto:
    """A model whose weight `w` float[2, 3] lies where the entries say."""
    weight = TensorProto(name="w", data_type=FLOAT, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    for key, entry in entries.items():
        weight.external_data.add(key=key, value=str(entry))
    return model([node("Add", "x w")], weights=[weight])


def data(path: Path) -> Path:
    """A file with the weight's bytes, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(BYTES))
    return path


def outside(folder: Path) -> Path:
    """Such a file beside the model's folder."""
    return data(folder.parent / f"{folder.name}-outside.bin")


@case(ends=VALID, runs=True)
def external_data_that_is_right(folder: Path) -> ModelProto:
    data(folder / "sub" / "w.bin")
    return external(location="sub/w.bin", offset=0, length=BYTES)


@case("w")
def external_data_in_the_parent_folder(folder: Path) -> ModelProto:
    return external(location=f"../{outside(folder).name}")


@case("w")
def external_data_in_the_parent_of_a_subfolder(folder: Path) -> ModelProto:
    data(folder / "sub" / "other.bin")
    return external(location=f"sub/../../{outside(folder).name}")


@case("w")
def external_data_at_an_absolute_path(folder: Path) -> ModelProto:
    return external(location=outside(folder))


@case("w")
def external_data_in_the_system(_: Path) -> ModelProto:
    return external(location="/etc/passwd")


@case("w")
def external_data_behind_a_symbolic_link(folder: Path) -> ModelProto:
    (folder / "w.bin").symlink_to(outside(folder))
    return external(location="w.bin")


@case("w")
def external_data_behind_a_linked_folder(folder: Path) -> ModelProto:
    (folder / "sub").symlink_to(outside(folder).parent)
    return external(location=f"sub/{outside(folder).name}")


@case("w")
def external_data_in_a_pipe(folder: Path) -> ModelProto:
    os.mkfifo(folder / "w.bin")
    return external(location="w.bin")


@case("w")
def external_data_in_a_folder(folder: Path) -> ModelProto:
    (folder / "w.bin").mkdir()
    return external(location="w.bin")


@case("w")
def external_data_that_is_missing(_: Path) -> ModelProto:
    return external(location="nothing.bin")


@case("w")
def external_data_without_a_place(_: Path) -> ModelProto:
    return external()


@case("w")
def external_data_at_an_empty_place(_: Path) -> ModelProto:
    return external(location="")


@case("w")
def external_data_at_a_place_with_nul(_: Path) -> ModelProto:
    return external(location="w.bin\0.txt")


@case("w")
def external_data_that_is_too_short(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", offset=8, length=BYTES)


@case("w")
def external_data_whose_offset_is_beyond_the_end(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", offset=1 << 50, length=BYTES)


@case("w")
def external_data_whose_offset_and_length_wrap(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", offset=(1 << 64) - BYTES, length=2 * BYTES)


@case("w")
def external_data_of_a_negative_offset(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", offset=-8, length=BYTES)


@case("w")
def external_data_of_an_offset_in_words(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", offset="eight")


@case("w")
def external_data_of_a_huge_length(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", length=1 << 60)


@case("w")
def external_data_of_another_length_than_its_shape(folder: Path) -> ModelProto:
    data(folder / "w.bin")
    return external(location="w.bin", offset=0, length=8)
