"""shiftwatch: watches a deployed ONNX model for distribution shift.

Importing this package is light: numpy, pyarrow and onnxruntime are loaded only by what needs them.
"""

import os

# onnxruntime 1.31 and later report home unless this is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
