"""Webhooks in: who may hand one in, what it must look like, and the one commit that accepts it.

``signature``, ``body`` and ``identity`` decide without I/O; ``hooks`` is the view that asks them in order, ``waiting``
tells how a delivery stands, ``nudge`` wakes the relay; ``problem`` words every error, ``health`` says whether the
process can work, ``app`` puts them together and ``server`` runs them in gunicorn. ``sender`` is the other side of
``signature``. A rule's Python is never run here: what accepting needs of a rule stands in its TOML file.
"""

from bridge.ingress.app import create_app

__all__ = ["create_app"]
