"""The configuration file: YAML in, settings out, every fault with its line.

In:    a path and the environment.
Out:   Settings with absolute paths, what /config shows, a fingerprint per model.
Never: opens a model, a reference or a batch; goes on past a key it does not know.
"""

from shiftwatch.config.effective import effective, fingerprint
from shiftwatch.config.fault import ConfigFaultsError, Fault
from shiftwatch.config.load import fault_at, load
from shiftwatch.config.stored import restored

__all__ = ["ConfigFaultsError", "Fault", "effective", "fault_at", "fingerprint", "load", "restored"]
