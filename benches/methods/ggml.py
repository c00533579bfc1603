"""llama.cpp's matrix products through ctypes: its library ggml, built from the sources of `llama-cpp-python`."""

from __future__ import annotations

import ctypes as c
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
F32, Q4_0 = 0, 2
BLOCK = np.dtype([("scale", np.float16), ("codes", np.uint8, 16)])
"""32 weights of Q4_0: number i in the low half of byte i, number i + 16 in its high half, less 8."""
OFF = [f"-DLLAMA_BUILD_{part}=OFF" for part in ("TESTS", "TOOLS", "EXAMPLES", "SERVER", "COMMON")]
SETTINGS = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DGGML_OPENMP=OFF", "-DBUILD_SHARED_LIBS=ON", *OFF]


NO_TILES = [f"-DCMAKE_{language}_FLAGS=-mno-amx-tile -mno-amx-int8 -mno-amx-bf16" for language in ("C", "CXX")]
"""For machines that show AMX and fault in its instructions, as virtual ones may."""


def build(folder: Path, tiles: bool = True) -> Path:
    """The folder of the libraries, built once."""
    built = folder.resolve() / ("build" if tiles else "build-no-tiles")
    if not list(built.glob("bin/libllama.so")):
        source, tools = sources(folder.resolve())
        ninja = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}"]
        run([tools / "cmake", *ninja, "-S", source, "-B", built, *SETTINGS, *([] if tiles else NO_TILES)])
        run([tools / "cmake", "--build", built, "--target", "llama"])
    return built / "bin"


def sources(folder: Path) -> tuple[Path, Path]:
    """Where llama.cpp's sources are, and cmake, in a virtual environment of its own: both come from PyPI."""
    tools, pattern = folder / "venv/bin", "llama_cpp_python-*/vendor/llama.cpp"
    if not list(folder.glob(pattern)):
        folder.mkdir(parents=True, exist_ok=True)
        run([sys.executable, "-m", "venv", folder / "venv"])
        pinned = ["--require-hashes", "--no-deps", "-r", HERE / "requirements.txt"]
        run([tools / "pip", "download", "-q", "--no-binary", "llama-cpp-python", "-d", folder, *pinned])
        run([tools / "pip", "install", "-q", "--no-index", "--find-links", folder, "cmake", "ninja"])
        with tarfile.open(next(folder.glob("llama_cpp_python-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
    return next(folder.glob(pattern)), tools


def run(command: Sequence[str | Path]) -> None:
    """Runs a tool of the build; what it says is no result."""
    subprocess.run(command, check=True, stdout=sys.stderr)


class InitParams(c.Structure):
    """ggml_init_params."""

    _fields_ = [("size", c.c_size_t), ("memory", c.c_void_p), ("no_alloc", c.c_bool)]


class PoolParams(c.Structure):
    """ggml_threadpool_params."""

    _fields_ = [
        ("cpumask", c.c_bool * 512), ("threads", c.c_int), ("priority", c.c_int), ("poll", c.c_uint32),
        ("strict", c.c_bool), ("paused", c.c_bool),
    ]  # fmt: skip


LOG = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
POINTERS = {
    "ggml_init": [InitParams], "ggml_new_tensor_2d": [c.c_void_p, c.c_int, c.c_int64, c.c_int64],
    "ggml_mul_mat": [c.c_void_p] * 3, "ggml_new_graph_custom": [c.c_void_p, c.c_size_t, c.c_bool],
    "ggml_backend_cpu_init": [], "ggml_backend_get_device": [c.c_void_p],
    "ggml_backend_dev_backend_reg": [c.c_void_p], "ggml_backend_reg_get_proc_address": [c.c_void_p, c.c_char_p],
    "ggml_backend_alloc_ctx_tensors_from_buft": [c.c_void_p] * 2, "ggml_backend_alloc_ctx_tensors": [c.c_void_p] * 2,
    "ggml_backend_cpu_buffer_type": [], "ggml_threadpool_new": [c.POINTER(PoolParams)],
}  # fmt: skip
"""Functions that return a pointer, with what they take."""
OTHERS = {
    "ggml_build_forward_expand": (None, [c.c_void_p] * 2), "ggml_backend_graph_compute": (c.c_int, [c.c_void_p] * 2),
    "ggml_backend_tensor_set": (None, [c.c_void_p, c.c_void_p, c.c_size_t, c.c_size_t]),
    "ggml_backend_tensor_get": (None, [c.c_void_p, c.c_void_p, c.c_size_t, c.c_size_t]),
    "ggml_backend_cpu_set_n_threads": (None, [c.c_void_p, c.c_int]), "ggml_free": (None, [c.c_void_p]),
    "ggml_backend_cpu_set_threadpool": (None, [c.c_void_p] * 2), "ggml_backend_buffer_free": (None, [c.c_void_p]),
    "ggml_log_set": (None, [LOG, c.c_void_p]), "ggml_backend_buft_name": (c.c_char_p, [c.c_void_p]), "ggml_threadpool_params_default": (PoolParams, [c.c_int]),
}  # fmt: skip


class Library:
    """ggml with its processor backend."""

    def __init__(self, folder: Path) -> None:
        loaded = [c.CDLL(str(folder / f"libggml-{part}.so"), mode=c.RTLD_GLOBAL) for part in ("base", "cpu")]
        for name, (result, arguments) in {**{n: (c.c_void_p, a) for n, a in POINTERS.items()}, **OTHERS}.items():
            function = next(getattr(library, name) for library in loaded if hasattr(library, name))
            function.restype, function.argtypes = result, arguments
            setattr(self, name.removeprefix("ggml_"), function)
        self.silent = LOG(lambda level, text, data: None)
        self.log_set(self.silent, None)
        self.backend = self.backend_cpu_init()

    def layouts(self) -> dict[str, int]:
        """The memory layouts of weights that it has on this processor, by name."""
        device = self.backend_get_device(self.backend)
        registry = self.backend_dev_backend_reg(device)
        address = self.backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        found = c.CFUNCTYPE(c.POINTER(c.c_void_p), c.c_void_p)(address)(device)
        kinds = [self.backend_cpu_buffer_type()]
        while found and found[len(kinds) - 1]:
            kinds.append(found[len(kinds) - 1])
        return {self.backend_buft_name(kind).decode(): kind for kind in kinds}

    def context(self, tensors: int) -> int:
        """A context for so many tensors, whose data lie elsewhere."""
        return self.init(InitParams(tensors * 1024 + (1 << 20), None, True))

    def threads(self, count: int) -> None:
        """Computes with so many threads from now on, which sleep between graphs: others have the cores then."""
        params = self.threadpool_params_default(count)
        params.poll = 0
        self.backend_cpu_set_threadpool(self.backend, self.threadpool_new(c.byref(params)))
        self.backend_cpu_set_n_threads(self.backend, count)


class Products:
    """Products of one row with several distinct matrices of Q4_0."""

    def __init__(self, library: Library, layout: int, x: np.ndarray, matrices: Sequence[np.ndarray]) -> None:
        self.library, depth = library, x.size
        weights, values = library.context(len(matrices)), library.context(len(matrices) + 1)
        columns = [matrix.size * 32 // depth for matrix in matrices]
        held = [library.new_tensor_2d(weights, Q4_0, depth, n) for n in columns]
        buffer = library.backend_alloc_ctx_tensors_from_buft(weights, layout)
        for tensor, matrix in zip(held, matrices, strict=True):
            library.backend_tensor_set(tensor, matrix.ctypes.data, 0, matrix.nbytes)
        row = library.new_tensor_2d(values, F32, depth, 1)
        self.graph = library.new_graph_custom(values, 2 * len(matrices) + 16, False)
        self.results = [library.mul_mat(values, tensor, row) for tensor in held]
        for result in self.results:
            library.build_forward_expand(self.graph, result)
        room = library.backend_alloc_ctx_tensors(values, library.backend)
        library.backend_tensor_set(row, x.ctypes.data, 0, x.nbytes)
        self.columns, self.owned = columns, ([weights, values], [buffer, room])

    def run(self) -> None:
        """Computes all of them."""
        self.library.backend_graph_compute(self.library.backend, self.graph)

    def first(self) -> np.ndarray:
        """The result with the first matrix."""
        y = np.empty(self.columns[0], np.float32)
        self.library.backend_tensor_get(self.results[0], y.ctypes.data, 0, y.nbytes)
        return y

    def close(self) -> None:
        """Gives all memory back."""
        for buffer in self.owned[1]:
            self.library.backend_buffer_free(buffer)
        for context in self.owned[0]:
            self.library.free(context)


def matrix(depth: int, columns: int, seed: int) -> np.ndarray:
    """A matrix of random codes, `[columns, depth / 32]` blocks."""
    rng = np.random.default_rng(seed)
    blocks = np.empty((columns, depth // 32), BLOCK)
    blocks["scale"] = rng.uniform(0.005, 0.015, blocks.shape)
    blocks["codes"] = rng.integers(0, 256, (*blocks.shape, 16), np.uint8)
    return blocks


def numbers(blocks: np.ndarray) -> np.ndarray:
    """What the codes stand for, `[columns, depth]`."""
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=-1).astype(np.float32) - 8
    return (codes * blocks["scale"].astype(np.float32)[..., None]).reshape(len(blocks), -1)
