"""From a stored delivery to the end of its attempt: who offers it, who takes it, who runs it.

    queue.py, valkey.py             RQ on Redis, which carries ids only, and the server we bring along
    clock.py, leader.py, outage.py  the one process that offers: its loop, its election, its patience
    relay.py, sweep.py              offering what is due; offering again what was dropped
    supervisor.py, worker.py        the worker's processes; one of them, with many deliveries in threads
    shown.py                        what RQ's own tools see of it
    lease.py                        what a running attempt holds: its renewal, its time limit, its end
    run.py, isolated.py             one attempt; one attempt in a process of its own

Nothing here decides what a rule may do: an attempt reaches nothing but egress, through the client that it is given.
"""
