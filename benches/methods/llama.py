"""llama.cpp's decoders through its library, by the declarations that `llama-cpp-python` has of it."""

from __future__ import annotations

import ctypes as c
import importlib
import os
import sys
import types
from pathlib import Path
from typing import Any

import ggml
import numpy as np


def declarations(built: Path) -> Any:
    """The module of declarations, without the package around it, which asks for packages of its own."""
    package = types.ModuleType("llama_cpp")
    package.__path__ = [str(path) for path in built.parents[1].glob("llama_cpp_python-*/llama_cpp")]
    sys.modules.setdefault("llama_cpp", package)
    os.environ["LLAMA_CPP_LIB_PATH"] = str(built)
    return importlib.import_module("llama_cpp.llama_cpp")


class Llama:
    """A model with a cache for so many tokens. Its threads sleep between calls."""

    def __init__(self, path: Path, built: Path, threads: int, context: int) -> None:
        self.ggml = ggml.Library(built)
        self.library = library = declarations(built)
        self.silent = ggml.LOG(lambda level, text, data: None)
        library._lib.llama_log_set(self.silent, None)
        model = library.llama_model_load_from_file(str(path).encode(), library.llama_model_default_params())
        if not model:
            raise OSError(f"llama.cpp cannot read {path}")
        self.words = library.llama_vocab_n_tokens(library.llama_model_get_vocab(model))
        params = library.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context
        params.n_threads = params.n_threads_batch = threads
        self.context = library.llama_init_from_model(model, params)
        pool = self.ggml.threadpool_params_default(threads)
        pool.poll = 0
        pool = self.ggml.threadpool_new(c.byref(pool))
        attach = library._lib.llama_attach_threadpool
        attach.restype, attach.argtypes = None, [c.c_void_p] * 3
        attach(self.context, pool, pool)

    def append(self, ids: np.ndarray, after: int) -> None:
        """Computes the logits of all tokens that follow the first `after` ones."""
        library = self.library
        library.llama_memory_seq_rm(library.llama_get_memory(self.context), 0, after, -1)
        batch = library.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids.tolist()):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, after + i, 1, True
            batch.seq_id[i][0] = 0
        if library.llama_decode(self.context, batch):
            raise OSError("llama.cpp failed")
        library.llama_batch_free(batch)

    def logits(self) -> np.ndarray:
        """Those of the last token."""
        at = self.library.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(at, (self.words,)).copy()
