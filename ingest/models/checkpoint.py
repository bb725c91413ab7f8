"""Read checkpoints as data: nothing that a file pickles is executed or imported."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from pickle import UnpicklingError  # the exception only: torch does the unpickling, weights only
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sigdb.errors import ModelError, listed, message, no_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = [
    "fingerprint",
    "global_name",
    "read_checkpoint",
    "read_checkpoint_inert",
    "read_json",
    "read_object",
    "read_safetensors",
    "tensors_of",
]

# What torch, pickle and zipfile raise for a file that is not a checkpoint, or not a sound one.
FAILURES = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, UnpicklingError, MemoryError),
    *(AssertionError, ArithmeticError, NotImplementedError, ImportError, BadZipFile),
)


class Opaque:
    """Stands for a global of a file that torch does not allow, in a subclass of its own. It accepts any state.

    global_name: the module and the name of the global.
    """

    global_name: str

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint of plain tensors and containers; ModelError if it holds anything else."""
    try:
        check_records(path)
        # Memory-mapped, a tensor cannot reach beyond the end of the file, whatever size it claims.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path) or None)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except FAILURES as error:
        raise ModelError(f"{path} is not a checkpoint of plain tensors; not loaded: {find_reason(error)}") from error


def read_checkpoint_inert(path: Path) -> Any:
    """Read a checkpoint that also pickles numpy arrays and objects of other packages, such as scvi-tools.

    torch lists the globals that the file names without calling them. Globals of numpy are allowed, and every other
    global is read as a subclass of `Opaque`; `global_name` tells which one it was. The file is still loaded with
    `weights_only`, so torch refuses globals of os or sys.
    Raises ModelError.
    """
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ModelError(
            f"{path} contains objects other than tensors, and torch {torch.__version__} cannot list them without "
            "creating them. Update torch: pip install 'torch>=2.6'"
        )
    allowed = numpy_globals() + builtin_globals()
    try:
        with torch.serialization.safe_globals(allowed):
            foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except FAILURES as error:
        raise ModelError(f"{path} is not a torch checkpoint; not loaded: {find_reason(error)}") from error
    opaque = [(type("Opaque", (Opaque,), {"global_name": name}), name) for name in foreign]
    with torch.serialization.safe_globals([*allowed, *opaque]):
        return read_checkpoint(path)


def global_name(value: object) -> str | None:
    """The module and the name of a global, or of an object made by one; None for plain values and tensors."""
    return getattr(value, "global_name", None)


def find_reason(error: Exception) -> str:
    """Why torch refused a file: the global that it names, but not torch's advice to load the file unsafely."""
    named = re.search(r"GLOBAL ([\w.]+)|(?:function|class|module) (\S+)", str(error))
    if named:
        return f"it names {named[1] or named[2]}"
    text = message(error)
    return type(error).__name__ if not text or text.startswith("Weights only load failed") else text


def record_sizes(path: Path) -> set[int]:
    """The sizes of the records of a checkpoint that is a zip archive; empty for other files."""
    if not is_zipfile(path):
        return set()
    with ZipFile(path) as archive:
        return {record.file_size for record in archive.infolist()}


def check_records(path: Path) -> None:
    """Raise ValueError if a record of a zip archive is compressed, which torch never does, or damaged."""
    if not is_zipfile(path):
        return
    with ZipFile(path) as archive:
        if any(record.compress_type != ZIP_STORED for record in archive.infolist()):
            raise ValueError("its records are compressed")
        if name := archive.testzip():
            raise ValueError(f"its record {name} is damaged")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, as `tensors_of` returns them; ModelError if it cannot be read."""
    try:
        return tensors_of(load_file(path), path)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except MemoryError as error:
        raise ModelError(no_memory(path)) from error


def read_json(path: Path) -> Any:
    """The content of a JSON file; ModelError if it cannot be read, or an object repeats a key."""
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=without_repeats)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    except MemoryError as error:
        raise ModelError(no_memory(path)) from error


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ModelError if there is none."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise ModelError(f"{path} must hold an object, not {type(found).__name__}.")
    return found


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; ValueError if a key is repeated."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"keys are repeated among {listed(key for key, _ in pairs)}")
    return found


def tensors_of(state: Any, path: Path) -> dict[str, Tensor]:
    """Copies of the tensors of a state dict, floating-point ones as float32; ModelError if it holds anything else."""
    if not isinstance(state, dict) or not state:
        raise ModelError(f"{path} holds no state_dict.")
    if strange := [key for key, value in state.items() if not is_plain(value)]:
        raise ModelError(f"{path} has {len(strange)} weights that are not tensors of real numbers: {listed(strange)}.")
    sizes = record_sizes(path)
    if wrong := [key for key, value in state.items() if not fits(value, sizes)]:
        raise ModelError(f"{path} has {len(wrong)} tensors of another size than is stored: {listed(wrong)}.")
    # A copy, because the file may change while this process lives.
    kinds = {key: torch.float32 if value.is_floating_point() else value.dtype for key, value in state.items()}
    return {str(key): value.to(kinds[key], copy=True) for key, value in state.items()}


def is_plain(value: Any) -> bool:
    """Whether a value is a dense tensor of real numbers."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return value.device.type == "cpu" and not value.is_quantized and not value.is_complex()


def fits(tensor: Tensor, sizes: set[int]) -> bool:
    """Whether all values of a tensor are stored, in a record of one of these sizes, if there are any."""
    stored = tensor.untyped_storage().nbytes()
    return tensor.numel() * tensor.element_size() <= stored and (not sizes or stored in sizes)


def fingerprint(parts: Iterable[Path | str]) -> str:
    """SHA-256 of the contents of files and of strings, in order; files are read in pieces."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
        else:
            with part.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
    return digest.hexdigest()


def numpy_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """The globals in pickles of arrays, scalars and dtypes, under the module names of numpy 1 and 2."""
    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    functions = [
        (getattr(multiarray, name), f"{module}.multiarray.{name}")
        for module in ("numpy.core", "numpy._core")
        for name in ("_reconstruct", "scalar")
    ]
    dtypes = [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    return [*functions, np.ndarray, np.dtype, *dtypes]


def builtin_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """The globals of plain containers that scvi-tools pickles."""
    return [(plain_dict, "collections.defaultdict"), (dict, "builtins.dict"), (bytes, "builtins.bytes")]


def plain_dict(*_: object) -> OrderedDict[Any, Any]:
    """A dictionary in place of a defaultdict, whose factory is not called."""
    return OrderedDict()
