"""The onnxruntime session: the one door to onnxruntime.

In:    an ONNX file, a binding, a sample.
Out:   OnnxModel and Prediction.
Never: reports home; writes to stderr; uses a second thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftwatch.errors import ModelError
from shiftwatch.model import inputs as feeding
from shiftwatch.model import onnxfile, outputs
from shiftwatch.model.inputs import Binding, ModelInput, Rows, Tensors
from shiftwatch.model.outputs import Answer, ModelOutput
from shiftwatch.progress import tell
from shiftwatch.sample import Column, Sample
from shiftwatch.status import ModelInfo
from shiftwatch.values import Finding, SchemaColumn

if "ORT_DISABLE_TELEMETRY" not in os.environ:
    raise ImportError("ORT_DISABLE_TELEMETRY must be set before onnxruntime is imported")

# After the check above: telemetry starts with the import.
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _state

_FAULTS: tuple[type[Exception], ...] = (
    *(
        kind
        for kind in vars(_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    RuntimeError,
    ValueError,
)
"""What onnxruntime raises; its own types have no common base."""

_CHUNK = 4096
_MESSAGE_LENGTH = 300
_FATAL_ONLY = 4
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

onnxruntime.set_default_logger_severity(_FATAL_ONLY)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says on a sample.

    Parameters
    ----------
    columns
        Columns with role prediction and the sample's rows, null where a row was not scored or the
        model answered NaN. Empty if no row could be scored.
    findings
        Rows that were not scored and outputs that are not watched.
    seconds
        CPU seconds of this process.
    """

    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """A loaded model; make one with :meth:`load`."""

    path: str
    inputs: tuple[ModelInput, ...]
    outputs: tuple[ModelOutput, ...]
    info: ModelInfo
    _session: Any

    @classmethod
    def load(cls, path: str) -> OnnxModel:
        """Load an ONNX file for one CPU thread.

        Raises
        ------
        ModelError
            If the file is missing, empty, a git-LFS pointer, damaged or not ONNX; if it uses an
            operator that onnxruntime lacks; if its weights lie outside its folder; if it has no
            input, or no output that is a value or a vector per row.
        """
        file = onnxfile.read(path)
        session = _open(file, path)
        model = cls(
            path=path,
            inputs=tuple(ModelInput(*each) for each in _declared(session.get_inputs(), path)),
            outputs=tuple(ModelOutput(*each) for each in _declared(session.get_outputs(), path)),
            info=ModelInfo(
                sha256=file.sha256,
                opset=file.opset,
                producer=file.producer,
                runtime=f"onnxruntime {onnxruntime.__version__}",
            ),
            _session=session,
        )
        _refuse_useless(model)
        return model

    @property
    def sha256(self) -> str:
        """Identity of the file and of any weights beside it."""
        return self.info.sha256

    def wanted_columns(self, schema: Sequence[SchemaColumn]) -> tuple[str, ...] | None:
        """Columns the model asks for by name, in the order of its inputs.

        A name matches exactly, or else without regard to case if that leaves one column. None
        means that a single tensor takes all features in the reference's order.

        Raises
        ------
        ModelError
            If an input matches no column, or cannot be fed whatever the columns are.
        """
        with _at(self.path):
            return feeding.wanted(self.inputs, schema)

    def bind(self, features: Sequence[SchemaColumn]) -> Binding:
        """Decide once which column feeds which input.

        Parameters
        ----------
        features
            The reference's input columns, in order. For one input per column, more may be given.

        Raises
        ------
        ModelError
            With the input's name, its declared type and shape, and the columns there are: if it
            has no batch axis or more than two dimensions, if the number of columns differs, if no
            column matches, or if a column's type cannot fill it.
        """
        with _at(self.path):
            return feeding.bind(self.inputs, features)

    def predict(self, binding: Binding, sample: Sample) -> Prediction:
        """Run the model on every row that it can take.

        Rows are run in chunks, or one by one where the model's batch is fixed at 1, so memory does
        not grow with the sample. The answer on a row does not depend on the other rows.

        Raises
        ------
        ModelError
            If the sample lacks a column, a column has changed its type, or onnxruntime fails.
        """
        start = time.process_time()
        with _at(self.path):
            fed = feeding.chosen(binding, sample)
            rows, findings = feeding.scorable(binding, fed, sample.rows)
        columns: tuple[Column, ...] = ()
        if rows.size:
            usable = [output for output in self.outputs if output.usable]
            runs = [self._run(tensors, usable) for tensors in self._tensors(binding, fed, rows)]
            columns, more = outputs.columns(usable, runs, rows, sample.rows)
            findings = (*findings, *more)
        findings = (*findings, *outputs.skipped(self.outputs))
        return Prediction(columns, findings, time.process_time() - start)

    def _tensors(
        self, binding: Binding, fed: Mapping[str, Column], rows: Rows
    ) -> Iterator[Tensors]:
        """What goes into each run: a chunk of rows, or a single one."""
        for first in range(0, rows.size, _CHUNK):
            tell("running the model", first, rows.size)
            chunk = rows[first : first + _CHUNK]
            with _at(self.path):
                tensors = feeding.arrays(binding, fed, chunk)
            if not binding.by_row:
                yield tensors
                continue
            for row in range(chunk.size):
                yield {name: tensor[row : row + 1] for name, tensor in tensors.items()}

    def _run(self, tensors: Tensors, usable: Sequence[ModelOutput]) -> list[Answer]:
        try:
            raw = self._session.run([output.name for output in usable], tensors)
        except _FAULTS as fault:
            raise ModelError(
                f"the model failed on a batch: {_message(fault)}", where=self.path
            ) from fault
        return [outputs.answer(output, value) for output, value in zip(usable, raw, strict=True)]


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Put the model's path on an error of the binding."""
    try:
        yield
    except ModelError as fault:
        raise ModelError(fault.what, where=path, hint=fault.hint) from fault


def _open(file: onnxfile.OnnxFile, path: str) -> Any:
    # From the bytes that were hashed, so that the hash is of the model that runs.
    try:
        return onnxruntime.InferenceSession(
            file.data,
            _options(path),
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # there is nothing to fall back to, and it would print to stdout
        )
    except _FAULTS as fault:
        if file.custom:
            raise ModelError(
                f"needs custom operators that onnxruntime lacks: {', '.join(file.custom)}",
                where=path,
                hint="export the model with standard ONNX operators",
            ) from fault
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} cannot load it: {_message(fault)}",
            where=path,
            hint="is the file whole, and its opset not newer than the runtime?",
        ) from fault


def _options(path: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL_ONLY
    options.use_deterministic_compute = True
    folder = str(Path(path).resolve().parent)
    options.add_session_config_entry(_WEIGHTS_FOLDER, folder)
    return options


Declared = tuple[str, str, tuple[int | str | None, ...]]
"""Name, type and shape."""


def _declared(entries: Sequence[Any], path: str) -> list[Declared]:
    try:
        return [(entry.name, entry.type, tuple(entry.shape)) for entry in entries]
    except UnicodeDecodeError as fault:
        raise ModelError(
            "an input or output has a name that is not UTF-8",
            where=path,
            hint="export the model anew",
        ) from fault


def _refuse_useless(model: OnnxModel) -> None:
    if not model.inputs:
        raise ModelError("has no input, so there is nothing to watch", where=model.path)
    if not any(output.usable for output in model.outputs):
        there = "; ".join(str(output) for output in model.outputs)
        raise ModelError(
            f"no output is a value or a vector per row: {there}",
            where=model.path,
            hint="export the model with its label, score or probabilities",
        )


def _message(fault: Exception) -> str:
    r"""What onnxruntime says, on one line, without its own prefix.

    Examples
    --------
    >>> _message(ValueError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got 3\n Expected: 4"))
    'Got 3 Expected: 4'
    """
    text = " ".join(str(fault).split())
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    return text[:_MESSAGE_LENGTH]
