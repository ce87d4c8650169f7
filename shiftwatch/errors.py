"""Errors that say what went wrong, where, and what to do.

In:    what, where and a hint, from any room.
Out:   one exception type whose text is all three.
Never: swallows anything.
"""


class ShiftwatchError(Exception):
    """A fault the reader of the message can act on.

    Parameters
    ----------
    what
        What is wrong, one sentence without a full stop.
    where
        The file, model, column or address it concerns.
    hint
        What to do about it; empty if there is nothing sensible to say.

    Examples
    --------
    >>> print(ShiftwatchError("no such file", where="model.onnx", hint="check `model:`"))
    model.onnx: no such file (check `model:`)
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keywords, so that the worker can hand its errors to the daemon."""
        return _restore, (type(self), self.what, self.where, self.hint)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text


def _restore(kind: type[ShiftwatchError], what: str, where: str, hint: str) -> ShiftwatchError:
    return kind(what, where=where, hint=hint)


class ConfigError(ShiftwatchError):
    """The configuration cannot be used; the program ends with 78."""


class ModelError(ShiftwatchError):
    """The ONNX model cannot be loaded or fed."""


class DataError(ShiftwatchError):
    """A reference or a batch cannot be read or used as it is."""


class AwayError(DataError):
    """A store of objects does not answer now: it says nothing about the data, and may pass.

    Nothing is judged by it. What was asked is asked again at the next look.
    """


class RefusedError(AwayError):
    """A store refuses access; credentials that are wrong or have run out can be mended."""


class StoreError(ShiftwatchError):
    """The history cannot be opened, read or written."""


class StoreDamagedError(StoreError):
    """The history is no sound database."""


class StoreInUseError(StoreError):
    """Another process has the history open for writing."""


class WorkerError(ShiftwatchError):
    """The worker process died, ran out of memory or out of time."""


class WorkerDiedError(WorkerError):
    """The worker ended without an answer: it was killed, or it crashed."""


class TimeLimitError(WorkerError):
    """The worker took longer than ``limits.seconds`` and was ended.

    ``cpu_seconds`` and ``wall_seconds`` are what it took by then.
    """

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
