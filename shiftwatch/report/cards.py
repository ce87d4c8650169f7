"""One card a scope: how its alarm stands, why, and how strong the evidence is.

In:    a Run.
Out:   what a page shows of each scope.
Never: tells of an alarm where there is none to tell of: in a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

from shiftwatch.report import alarm, layers
from shiftwatch.report.loose import comparison
from shiftwatch.report.phrase import Phrase
from shiftwatch.report.sentence import SCOPE_NOUNS
from shiftwatch.values import Decision, Run

_FOUND = {"on": "Shift", "off": "No shift found", "unknown": "Could not be judged"}


@dataclass(frozen=True, slots=True)
class Card:
    """One scope as the page shows it."""

    decision: Decision
    batch_id: str
    alone: bool = False
    """Whether it is of a comparison, which has no past and raises no alarm."""

    @property
    def title(self) -> str:
        """What it is of."""
        return SCOPE_NOUNS[self.decision.scope].capitalize()

    @property
    def state(self) -> str:
        """Class of the card: on, cleared or off; unknown where nothing was judged."""
        if self.decision.alarm:
            return "on"
        if self.decision.scope != "schema" and self.decision.p_value is None:
            return "unknown"
        return "off"

    @property
    def phrase(self) -> Phrase:
        """How the alarm stands, or what a comparison found."""
        if self.alone and self.decision.scope != "schema":
            return (_FOUND[self.state],)
        return alarm.alarm_phrase(self.decision, self.batch_id)

    @property
    def why(self) -> Phrase:
        """Which layers crossed and where the change began, or why one is not heeded; may be empty."""
        if self.alone:
            return ()
        return alarm.why_phrase(self.decision, self.batch_id) or alarm.unheeded_phrase(
            self.decision
        )

    @property
    def evidence(self) -> Phrase:
        """What this batch alone says."""
        return alarm.evidence_phrase(self.decision)

    @property
    def also(self) -> Phrase:
        """Columns on the wider list; may be empty."""
        return alarm.also_phrase(self.decision)

    @property
    def clearing(self) -> Phrase:
        """What will clear the alarm; may be empty."""
        if self.alone:
            return ()
        return alarm.clearing_phrase(self.decision)

    @property
    def layers(self) -> tuple[tuple[str, float], ...]:
        """Evidence over its threshold by layer; a schema fault is a fact and has none."""
        return layers.ratios(self.decision)


def cards(run: Run) -> list[Card]:
    """Performance is shown once it is watched; a comparison has no quiet schema to tell of."""
    alone = bool(comparison(run))
    return [
        Card(d, run.batch.id, alone)
        for d in run.decisions
        if (d.scope != "performance" or d.alarm or d.evidence.check is not None)
        and not (alone and d.scope == "schema" and not d.alarm)
    ]
