"""The model of a context: from its path, or a copy of it from a store of objects.

In:    the path or address of an ONNX file.
Out:   OnnxModel; its hash; its size.
Never: fetches weights from anywhere but below the model's own prefix.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shiftwatch.errors import DataError, ModelError
from shiftwatch.places import below, is_remote
from shiftwatch.source import objects, stores

if TYPE_CHECKING:
    from shiftwatch.model import OnnxModel


def load_model(path: str) -> OnnxModel:
    """Load a model; only who has one waits for onnxruntime's import, and holds its 20 MB.

    Raises
    ------
    ModelError
        If it cannot be loaded, its weights lie outside its folder or prefix, or its store does not
        hand it out.
    """
    from shiftwatch.model import OnnxModel  # noqa: PLC0415

    if not is_remote(path):
        return OnnxModel.load(path)
    with _copied(path) as local:
        try:
            return replace(OnnxModel.load(str(local)), path=path)
        except ModelError as fault:
            raise ModelError(fault.what, where=path, hint=fault.hint) from fault


def model_sha256(path: str) -> str | None:
    """Hash of a model with its weights; None if it cannot be loaded."""
    try:
        return load_model(path).sha256
    except (ModelError, DataError):
        return None


def model_bytes(path: str) -> int:
    """Size of a model's file; 0 if there is none."""
    if is_remote(path):
        try:
            return objects.head(path).size
        except OSError:
            return 0
    return Path(path).stat().st_size if Path(path).is_file() else 0


@contextmanager
def _copied(uri: str) -> Iterator[Path]:
    """The model and its weights on a disk: kept there where there is a folder for it."""
    from shiftwatch.model import weights_of  # noqa: PLC0415

    with _folder(uri) as folder:
        local = folder / uri.rpartition("/")[2]
        _fetch(uri, uri, local)
        try:
            locations = weights_of(str(local))
        except ModelError as fault:
            raise ModelError(fault.what, where=uri, hint=fault.hint) from fault
        for location in locations:
            _fetch(uri, _beside(uri, location), folder / location)
        yield local


@contextmanager
def _folder(uri: str) -> Iterator[Path]:
    kept = stores.folder()
    if kept is not None:
        yield kept / hashlib.sha256(uri.encode()).hexdigest()[:32]
        return
    with tempfile.TemporaryDirectory(prefix="shiftwatch-model-") as folder:
        yield Path(folder)


def _beside(uri: str, location: str) -> str:
    try:
        return below(uri.rpartition("/")[0], location)
    except ValueError:
        raise ModelError(
            f"its weights {location!r} lie outside the model's folder",
            where=uri,
            hint="export the model into one folder",
        ) from None


def _fetch(model: str, uri: str, target: Path) -> None:
    what = "" if uri == model else f"its weights {uri!r}: "
    try:
        objects.copy(uri, target)
    except FileNotFoundError:
        raise ModelError(f"{what}no such file", where=model, hint="check `model:`") from None
    except DataError as fault:
        raise ModelError(f"{what}{fault.what}", where=model, hint=fault.hint) from fault
    except OSError as fault:
        raise ModelError(f"{what}cannot be read: {fault.strerror}", where=model) from fault
