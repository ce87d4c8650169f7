"""What every setting can say of a value that cannot be used.

In:    a value, the name of its field.
Out:   nothing, seconds; FieldError.
Never: knows which settings there are.
"""

from __future__ import annotations

import ipaddress
import re

from shiftwatch.places import check_address, is_remote

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")


_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


NAME = re.compile(r"[a-z0-9_-]+")


_LONGEST_SECONDS = 10 * 365 * 86400.0


class FieldError(ValueError):
    """A value that cannot be used: which field, and what would be right."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name
        self.message = message


def duration_seconds(text: str) -> float:
    """Seconds of a duration such as ``30s``, ``5m``, ``1h`` or ``7d``.

    Raises
    ------
    ValueError
        If the text is not a positive number followed by one of s, m, h, d, or says more than ten
        years.

    Examples
    --------
    >>> duration_seconds("5m")
    300.0
    """
    match = _DURATION.fullmatch(text)
    if match is None or float(match["number"]) == 0:
        message = f"{text!r} is not a duration; write for example 30s, 5m, 1h or 7d"
        raise ValueError(message)
    seconds = float(match["number"]) * _UNIT_SECONDS[match["unit"]]
    if seconds > _LONGEST_SECONDS:
        message = f"{text!r} is more than ten years; write for example 30s, 5m, 1h or 7d"
        raise ValueError(message)
    return seconds


def check_duration(field_name: str, text: str) -> None:
    """FieldError if a text is no duration; see :func:`duration_seconds`."""
    try:
        duration_seconds(text)
    except ValueError as fault:
        raise FieldError(field_name, str(fault)) from None


def check_at_least(field_name: str, value: float, minimum: float) -> None:
    """FieldError if a value is smaller than that, or not a number."""
    if not value >= minimum:  # so that NaN is refused as well
        raise FieldError(field_name, f"{value} is too small; write {minimum} or more")


def check_at_most(field_name: str, value: float, maximum: float) -> None:
    """FieldError if a value is larger than that."""
    if value > maximum:
        raise FieldError(field_name, f"{value} is too large; write {maximum} or less")


def check_path(field_name: str, path: str | None) -> None:
    """FieldError if a path is the address of a store and cannot be one."""
    if path is not None and is_remote(path):
        try:
            check_address(path)
        except ValueError as fault:
            raise FieldError(field_name, str(fault)) from None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, which may lead anywhere
