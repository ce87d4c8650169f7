"""The ONNX model: feeds it a sample, answers with prediction columns.

In:    the path of an ONNX file, the reference's input columns, samples.
Out:   OnnxModel, Binding, Prediction; ModelError for what cannot be loaded or fed.
Never: is imported by the daemon's own process; uses more than one thread or any network;
       guesses a preprocessing that the file does not contain.
"""

from __future__ import annotations

from shiftwatch.model.inputs import Binding, ModelInput
from shiftwatch.model.onnxfile import weights_of
from shiftwatch.model.outputs import MAX_OUTPUT_COLUMNS, ModelOutput
from shiftwatch.model.session import OnnxModel, Prediction

__all__ = [
    "MAX_OUTPUT_COLUMNS",
    "Binding",
    "ModelInput",
    "ModelOutput",
    "OnnxModel",
    "Prediction",
    "weights_of",
]
