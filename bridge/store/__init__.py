"""The store: one database that holds every fact, while Redis carries only ids.

``engine`` connects and shares commits, ``tables`` and ``migrations`` give the shape, ``deliveries`` moves a delivery
from state to state, ``offers`` finds those that a worker may take, ``journal`` appends to the audit log and renders its
entries, ``registers`` keeps rule texts, pauses and what is known of accounts.
"""

from bridge.store.engine import Store

__all__ = ["Store"]
