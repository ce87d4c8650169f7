"""Words and colours for what the metrics say in numbers.

In:    a selector of series.
Out:   codes of states as PromQL, with their meaning.
Never: builds a panel.
"""

from __future__ import annotations

STATES: dict[int, tuple[str, str]] = {
    0: ("ok", "green"),
    1: ("too little data", "blue"),
    2: ("shift alarm", "red"),
    3: ("stale", "purple"),
    4: ("invalid data", "orange"),
    5: ("error", "dark-red"),
}
"""What a code means, and its colour; of several the largest is shown."""

SAID: dict[int, tuple[str, str]] = {0: ("no", "transparent"), 1: ("in force", "blue")}
"""Whether a word of an operator is in force."""

_CODES = {"insufficient_data": 1, "stale": 3, "invalid_data": 4, "error": 5}
_ALARM = 2


def monitor_code(of: str, by: str, *, alarms: bool) -> str:
    """PromQL for the code of STATES by the labels ``by``; ``alarms`` counts the shift alarm too."""
    parts = [f'0 * shiftwatch_monitor_state{{{of}, state="ok"}}']
    parts += [
        f'{code} * shiftwatch_monitor_state{{{of}, state="{state}"}}'
        for state, code in _CODES.items()
    ]
    if alarms:
        parts.append(alarm_code(of))
    return f"max by ({by}) (" + " or ".join(parts) + ")"


def alarm_code(of: str) -> str:
    """PromQL for the code of a shift alarm, 0 without one."""
    return f"{_ALARM} * shiftwatch_drift_alarm{{{of}}}"
