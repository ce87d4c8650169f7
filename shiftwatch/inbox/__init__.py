"""Events that come over HTTP: kept on disk before they are acknowledged, and passed on. Light.

In:    requests for ``POST /events/MODEL``, from the event loop.
Out:   segments in a model's folder, which are read like objects of a log; counts; a copy elsewhere.
Never: decodes what was asked or answered; waits for another host; holds more than it was told to.

``spool`` keeps, ``tee`` passes on, ``letters`` brings both together for the models that receive.
"""

from shiftwatch.inbox.letters import Letters

__all__ = ["Letters"]
