"""`python -m accounts.tests.loaders.callers ORDERS`: processes full of threads that call one bucket at once.

Promises: all threads begin when standard input ends, not before; they share nothing but Redis. A process says
`.` when it is ready, and in the end one line of JSON: its outcomes by name.
On failure: the traceback is on stderr and the exit code is not 0.
"""

import os
import sys
import threading
from collections import Counter

import django
import msgspec


class Orders(msgspec.Struct, frozen=True):
    """Each thread makes `calls`, of these `costs` in turn."""

    prefix: str
    bucket: str
    rate: str
    processes: int
    threads: int
    calls: int
    costs: list[int]


def call(orders: Orders) -> None:
    """The life of one process."""
    from django.conf import settings

    from accounts.ratelimit import hit, parse, peek

    settings.CACHING = {**settings.CACHING, "PREFIX": orders.prefix}
    windows = parse(orders.rate)
    outcomes: list[Counter[str]] = []

    def caller() -> None:
        outcome: Counter[str] = Counter()
        peek(orders.bucket, windows)
        os.read(0, 1)
        for number in range(orders.calls):
            cost = orders.costs[number % len(orders.costs)]
            decision = hit(orders.bucket, windows, cost=cost)
            outcome.update(
                {
                    decision.source: 1,
                    "allowed": decision.allowed,
                    "units": cost * decision.allowed,
                }
            )
        outcomes.append(outcome)

    callers = [threading.Thread(target=caller) for _ in range(orders.threads)]
    for each in callers:
        each.start()
    os.write(1, b".")
    for each in callers:
        each.join()
    os.write(1, msgspec.json.encode(sum(outcomes, Counter())) + b"\n")


def main() -> int:
    """Fork the processes and wait for them; the exit code is the number of those that failed."""
    django.setup()
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    children = []
    for _ in range(orders.processes):
        pid = os.fork()
        if pid == 0:
            call(orders)
            os._exit(0)
        children.append(pid)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in children)


if __name__ == "__main__":
    sys.exit(main())
