"""What stands behind the use cases, a line each: is it there, how far behind is it, does anything wait.

Promises: asked for at the moment it is shown, where it is kept; breaker and journal are those of the process
that answers, and are called so.
On failure: nothing is raised for a Redis or a database that is down; the line says so.
"""

from collections.abc import Iterable, Iterator, Mapping

from django.db import Error as DatabaseError

from analytics import staleness
from caching import node, outbox_rows, scoreboard
from caching.counters import Counts
from caching.scoreboard import Row
from console.tables import Cell, Level, Line
from console.words import age, both, milliseconds

# Seconds that a row of the outbox may wait until it is worth a notice: the relay has had its turn by then.
WAITED = 10.0


def behind(rows: Iterable[Row], report: Mapping[str, Counts] | None) -> Iterator[Line]:
    """Redis and this process's way to it, the bus, the outbox, steps of use cases, dashboards."""
    yield _redis(up=report is not None)
    yield _breaker()
    yield _bus(report)
    yield _outbox()
    for row in rows:
        for step, _ in row.use_case.steps:
            latency = row.steps.get(step)
            cells = [Cell("measured" if latency else "not yet measured"), Cell(both(latency))]
            yield Line(f"{row.use_case.name.capitalize()}: {step}", cells)
    yield from _dashboards()


def _redis(*, up: bool) -> Line:
    if up:
        detail = "Counters of all processes, since they began."
        return Line("Redis", [Cell("answers", Level.GOOD), Cell(detail)])
    detail = "Reads come from memory and the database; counts are kept, and sent later."
    cells = [Cell("does not answer", Level.BAD), Cell(detail)]
    return Line("Redis", cells, "Redis does not answer: its figures are not to be had.")


def _breaker() -> Line:
    far = node.current().far
    closed = Cell("closed", Level.GOOD) if far.breaker.closed else Cell("open", Level.BAD)
    waiting = len(far.journal.pending)
    detail = f"{waiting:,} invalidations wait in this process." if waiting else "Nothing waits."
    return Line("Breaker of this process", [closed, Cell(detail)])


def _bus(report: Mapping[str, Counts] | None) -> Line:
    bus = node.current().bus
    if bus.connected:
        state = Cell("connected", Level.GOOD)
    else:
        # Before its first heartbeat a process has only just begun.
        state = Cell("connecting") if bus.lag is None else Cell("cut", Level.BAD)
    found = scoreboard.quantiles(report[node.BUS].load_latency) if report else None
    detail = f"Lag {milliseconds(bus.lag)} here; {both(found)} in all processes."
    notice = "The bus is cut: memory is trusted no longer." if state.level is Level.BAD else ""
    return Line("Bus", [state, Cell(detail)], notice)


def _outbox() -> Line:
    name = "Outbox"
    try:
        depth = outbox_rows.depth()
    except DatabaseError:
        cells = [Cell("unknown", Level.BAD), Cell("The database fails.")]
        return Line(name, cells, "The database fails: what it knows is not to be had.")
    if not depth.rows:
        return Line(name, [Cell("empty", Level.GOOD), Cell("Nothing waits.")])
    late = depth.oldest > WAITED
    more = "or more " if depth.rows >= outbox_rows.COUNTED else ""
    cells = [
        Cell(f"{depth.rows:,} {more}waiting", Level.WARN if late else Level.PLAIN),
        Cell(f"The oldest for {age(depth.oldest)}."),
    ]
    return Line(name, cells, "Invalidations wait in the outbox." if late else "")


def _dashboards() -> Iterator[Line]:
    try:
        found = staleness.of_all()
    except DatabaseError:
        return
    for each in found:
        level = (Level.GOOD, Level.WARN, Level.BAD)[each.level.severity]
        when = "Never" if each.age is None else f"Refreshed {age(each.age)} ago"
        failed = f"; {each.failures} failed since" if each.failures else ""
        cells = [Cell(str(each.level), level), Cell(f"{when}{failed}.")]
        late = f"The dashboard {each.dashboard} is old or was never refreshed."
        yield Line(f"Dashboard {each.dashboard}", cells, late if each.level.severity else "")
