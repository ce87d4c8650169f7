"""On what a benchmark ran.

In:    the system.
Out:   JSON.
Never: names the host.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path


def machine() -> dict[str, object]:
    """Processor, system, and versions of Python and of the libraries that count."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
    libraries = ("numpy", "scipy", "pyarrow", "onnxruntime")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("shiftwatch", *libraries)},
    }
