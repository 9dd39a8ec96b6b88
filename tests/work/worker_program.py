"""The command line of the worker processes in test_worker_processes.py: what ``bridge worker`` is there.

With ``child`` it is one worker process, with ``--isolated`` behind it the process of one attempt, else the supervisor.
"""

import logging
import os
import sys

import httpx

from bridge.rule.registry import Registry
from bridge.settings import read
from bridge.work import isolated, worker
from bridge.work.supervisor import supervise


def client() -> httpx.Client:
    """The way to the test's egress."""
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=os.environ["TEST_EGRESS"]), base_url="http://egress", timeout=60
    )


def main() -> int:
    """Be the process that the arguments name."""
    logging.basicConfig(level=logging.INFO, format="%(process)d %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = read()
    rules = Registry(settings.rules, None, every=0.2)
    child = [sys.executable, __file__, "child"]
    if isolated.FLAG in sys.argv:
        isolated.serve(client, rules, sys.stdin.buffer)
    if "child" in sys.argv:
        worker.serve(settings, client, rules, child)
    return supervise(child, int(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
