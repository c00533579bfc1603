"""Loads a library that `weft compile --emit lib` made and runs it through its C interface.

    artifact = Artifact(Path("model.so"))
    with artifact.open(threads=2) as session:
        outputs = session.run({"x": array})
"""

from __future__ import annotations

import ctypes as c
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ml_dtypes
import numpy as np

ABI_VERSION = 1
CPU = 1
ERROR_BYTES = 1024

# DLPack's type codes and bits, and numpy's types for them.
TYPES: dict[tuple[int, int], np.dtype] = {
    **{(0, bits): np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{(1, bits): np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{(2, bits): np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    (4, 16): np.dtype(ml_dtypes.bfloat16),
    (5, 64): np.dtype(np.complex64),
    (5, 128): np.dtype(np.complex128),
    (6, 8): np.dtype(np.bool_),
}
CODES = {dtype: code for code, dtype in TYPES.items()}


class WeftError(Exception):
    """What the artifact says about a failed call, or why it cannot be used from here."""


class Dim(c.Structure):
    """WeftDim: a number, a symbol or an expression of symbols."""

    _fields_ = [("fixed", c.c_int64), ("sym", c.c_int32), ("text", c.c_char_p)]


class PortRecord(c.Structure):
    """WeftPort: an input or output."""

    _fields_ = [
        ("name", c.c_char_p), ("dtype", c.c_uint8), ("bits", c.c_uint8), ("rank", c.c_uint16), ("dims", c.POINTER(Dim)),
    ]  # fmt: skip


class Options(c.Structure):
    """WeftOptions: how a session is opened."""

    _fields_ = [("size", c.c_uint32), ("threads", c.c_uint32), ("profile", c.c_uint32)]


class ProfileRecord(c.Structure):
    """One line of a profile."""

    _fields_ = [
        ("name", c.c_char_p), ("schedule", c.c_char_p), ("calls", c.c_uint64), ("nanoseconds", c.c_uint64),
    ]  # fmt: skip


class Tensor(c.Structure):
    """DLTensor, with its DLDevice and DLDataType laid out flat."""

    _fields_ = [
        ("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32), ("ndim", c.c_int32),
        ("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16),
        ("shape", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64),
    ]  # fmt: skip


@dataclass(frozen=True)
class Port:
    """An input or output: its name, element type and extents (numbers, or expressions as text)."""

    name: str
    dtype: np.dtype
    shape: tuple[int | str, ...]


def dtype_of(code: int, bits: int, what: str) -> np.dtype:
    """numpy's type for DLPack's."""
    if (code, bits) not in TYPES:
        raise WeftError(f"{what}: numpy has no type for DLPack's code {code} with {bits} bits")
    return TYPES[code, bits]


def port(record: PortRecord) -> Port:
    """A port out of the artifact's table."""
    name = record.name.decode()
    dims = record.dims[: record.rank] if record.rank else []
    shape = tuple(dim.fixed if dim.fixed >= 0 else (dim.text or b"?").decode() for dim in dims)
    return Port(name, dtype_of(record.dtype, record.bits, name), shape)


def tensor_of(array: np.ndarray) -> Tensor:
    """A DLTensor that borrows the array, which must be in row-major order."""
    code, bits = CODES[array.dtype]
    shape = (c.c_int64 * array.ndim)(*array.shape)
    return Tensor(array.ctypes.data, CPU, 0, array.ndim, code, bits, 1, shape, None, 0)


def array_of(tensor: Tensor, copy: bool) -> np.ndarray:
    """A DLTensor's contents: a copy, or a view that holds until the session's next run."""
    dtype = dtype_of(tensor.code, tensor.bits, "output")
    shape = tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size == 0:
        return np.empty(shape, dtype)
    raw = (c.c_uint8 * size).from_address(tensor.data + tensor.byte_offset)
    view = np.frombuffer(raw, dtype).reshape(shape)
    return view.copy() if copy else view


def prefix_of(lib: Path) -> str:
    """The prefix of the artifact's symbols, read from the header beside it."""
    header = lib.with_suffix(".h")
    found = re.search(r"\b(\w+)_abi_version\b", header.read_text())
    if not found:
        raise WeftError(f"{header}: declares no function `STEM_abi_version`")
    return found.group(1)


class Artifact:
    """A loaded library. It stays loaded until the process ends."""

    def __init__(self, lib: Path) -> None:
        self._lib = c.CDLL(str(lib.resolve()), mode=c.DEFAULT_MODE)
        self._prefix = prefix_of(lib)
        found = self.function("abi_version", c.c_uint32)()
        if found != ABI_VERSION:
            raise WeftError(f"{lib}: found ABI version {found}, expected {ABI_VERSION}")
        self.inputs = self._ports("inputs")
        self.outputs = self._ports("outputs")

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """One function of the C interface, with its types."""
        function = getattr(self._lib, f"{self._prefix}_{name}")
        function.restype, function.argtypes = result, arguments
        return function

    def _ports(self, which: str) -> list[Port]:
        count = c.c_size_t()
        function = self.function(which, c.POINTER(PortRecord), c.POINTER(c.c_size_t))
        records = function(c.byref(count))
        return [port(records[index]) for index in range(count.value)]

    def open(self, threads: int = 1, profile: bool = False) -> Session:
        """A session with that many threads; 0 means one per core."""
        return Session(self, threads, profile)


class Session:
    """An open session: one run at a time."""

    def __init__(self, artifact: Artifact, threads: int, profile: bool) -> None:
        self.artifact = artifact
        pointer, size = c.c_void_p, c.c_size_t
        tensors = c.POINTER(Tensor)
        self._run = artifact.function("run", c.c_int32, pointer, tensors, size, tensors, size)
        self._error = artifact.function("error", c.c_char_p, pointer)
        self._close = artifact.function("close", None, pointer)
        open_session = artifact.function("open", pointer, c.POINTER(Options), c.c_char_p, size)
        options, said = Options(c.sizeof(Options), threads, profile), c.create_string_buffer(ERROR_BYTES)
        self._handle = open_session(c.byref(options), said, ERROR_BYTES)
        if not self._handle:
            raise WeftError(said.value.decode(errors="replace"))
        self._outputs = (Tensor * len(artifact.outputs))()

    def prepare(self, inputs: list[np.ndarray] | dict[str, np.ndarray]) -> Any:
        """The inputs as the C interface wants them; it borrows the arrays and keeps them alive."""
        arrays = [np.asarray(array, order="C") for array in self._in_order(inputs)]
        for array in arrays:
            if array.dtype not in CODES:
                raise WeftError(f"an input of numpy's type {array.dtype} cannot be passed")
        prepared = (Tensor * len(arrays))(*map(tensor_of, arrays))
        prepared.arrays = arrays
        return prepared

    def _in_order(self, inputs: list[np.ndarray] | dict[str, np.ndarray]) -> list[np.ndarray]:
        if not isinstance(inputs, dict):
            return inputs
        missing = {port.name for port in self.artifact.inputs} ^ set(inputs)
        if missing:
            raise WeftError(f"inputs missing or unknown: {sorted(missing)}")
        return [inputs[port.name] for port in self.artifact.inputs]

    def run_prepared(self, prepared: Any) -> None:
        """One run and nothing else: what a benchmark times."""
        if self._run(self._handle, prepared, len(prepared), self._outputs, len(self._outputs)):
            raise WeftError(self._error(self._handle).decode(errors="replace"))

    def outputs(self, copy: bool = True) -> list[np.ndarray]:
        """The outputs of the last run."""
        return [array_of(tensor, copy) for tensor in self._outputs]

    def run(self, inputs: list[np.ndarray] | dict[str, np.ndarray]) -> list[np.ndarray]:
        """Runs the model and copies its outputs."""
        self.run_prepared(self.prepare(inputs))
        return self.outputs()

    def profile(self) -> dict[str, int]:
        """Nanoseconds of all runs so far by schedule; `(run)` is the whole of them."""
        read = self.artifact.function(
            "profile", c.c_size_t, c.c_void_p, c.POINTER(ProfileRecord), c.c_size_t
        )
        records = (ProfileRecord * read(self._handle, None, 0))()
        read(self._handle, records, len(records))
        spent: dict[str, int] = {}
        for record in records:
            key = (record.schedule or record.name).decode()
            spent[key] = spent.get(key, 0) + record.nanoseconds
        return spent

    def close(self) -> None:
        """Ends the session and its threads."""
        if self._handle:
            self._close(self._handle)
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
