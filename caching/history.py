"""The last hour of the counters, in steps of ten seconds: what charts are drawn from.

As a process sends its counts it looks whether a step has begun of which there is no sample yet. The first
that finds so adds one, of all processes: by how much the totals grew since the sample before.

Promises: a sample is the difference of totals that `node.report` gives, so it cannot say anything else; one a
step, however many processes; at most `KEPT` of them, about 2 KB each, gone `LIFE` after the last.
On failure: while Redis is down there are no samples, and the next one spans the gap. Totals that a flushed
Redis has begun anew count from zero. `samples` raises FarDown.
"""

import math
import zlib
from collections.abc import Mapping
from weakref import WeakKeyDictionary

import msgspec

from caching import registry
from caching.counters import Counts
from caching.far import Call
from caching.node import Node, current
from caching.scripting import SAMPLE

STEP = 10  # seconds
KEPT = 360
LIFE = 2 * 3600 * 1000  # milliseconds
# Numbers go by their place in here; of a release with others it is another history.
FIELDS = tuple(Counts().flat())
PLACES = tuple(
    (name, int(bucket) if bucket else None)
    for name, _, bucket in (field.partition(".") for field in FIELDS)
)
VERSION = f"{zlib.crc32(','.join(FIELDS).encode()):08x}"

# By name, and by the place in FIELDS; what is 0 is left out.
Totals = dict[str, dict[int, int]]


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """What was counted in the `seconds` before `ended`, which is in Unix seconds."""

    ended: float
    seconds: float
    grown: Totals

    def report(self) -> dict[str, Counts]:
        """The counts by name, as `node.report` has the totals."""
        return {name: _counts(numbers) for name, numbers in self.grown.items()}


class _Seen(msgspec.Struct, array_like=True, frozen=True):
    """The totals of one moment, in Unix seconds."""

    at: float
    totals: Totals


_pack = msgspec.msgpack.Encoder().encode
_unpack_sample = msgspec.msgpack.Decoder(Sample).decode
_unpack_seen = msgspec.msgpack.Decoder(_Seen).decode
# The last step that a node knows to have a sample.
_known: WeakKeyDictionary[Node, int] = WeakKeyDictionary()


@registry.flush_with
def sample(node: Node) -> None:
    """Add the sample of this step, if there is none. Raises FarDown."""
    now = node.clock.wall()
    step = int(now // STEP)
    if _known.get(node, -1) >= step:
        return
    seen, samples = _keys(node)
    of_step, packed = node.far.guarded(lambda client: client.hmget(seen, "step", "totals"))
    if of_step is None or int(of_step) < step:
        before = _unpack_seen(packed) if packed else None
        grown, after = _grown(before, now, node.report(registry.counted()))
        limits = [KEPT, LIFE]
        words = [of_step or "", step, _pack(after), _pack(grown) if grown else "", *limits]
        node.far.run([Call(SAMPLE, [seen, samples], words)])
    _known[node] = step


def samples(since: float = 0.0) -> list[Sample]:
    """Those that ended after `since`, in Unix seconds, the oldest first. Raises FarDown."""
    node = current()
    # One more, for a step that began meanwhile.
    count = min(max(math.ceil((node.clock.wall() - since) / STEP) + 1, 1), KEPT)
    _, key = _keys(node)
    packed = node.far.guarded(lambda client: client.lrange(key, -count, -1))
    return [each for each in map(_unpack_sample, packed) if each.ended > since]


def _grown(
    before: _Seen | None, now: float, report: Mapping[str, Counts]
) -> tuple[Sample | None, _Seen]:
    """The sample, and what the next one will be compared with."""
    totals = {name: _numbers(counts) for name, counts in report.items()}
    if before is None:
        return None, _Seen(now, totals)
    grown: Totals = {}
    for name, numbers in totals.items():
        past = before.totals.get(name)
        # One that was not known before has its totals of any time.
        changed = _changed(past, numbers) if past is not None else {}
        if changed:
            grown[name] = changed
    # A process that knows fewer names leaves the others to the next.
    return Sample(now, now - before.at, grown), _Seen(now, {**before.totals, **totals})


def _changed(past: Mapping[int, int], numbers: Mapping[int, int]) -> dict[int, int]:
    begun_anew = any(numbers.get(place, 0) < count for place, count in past.items())
    start = {} if begun_anew else past
    return {
        place: count - start.get(place, 0)
        for place, count in numbers.items()
        if count != start.get(place, 0)
    }


def _numbers(counts: Counts) -> dict[int, int]:
    return {place: count for place, count in enumerate(counts.flat().values()) if count}


def _counts(numbers: Mapping[int, int]) -> Counts:
    """As `Counts.add`, without taking names apart: an hour has a hundred thousand of them."""
    counts = Counts()
    for place, count in numbers.items():
        name, bucket = PLACES[place]
        if bucket is None:
            setattr(counts, name, count)
        else:
            getattr(counts, name)[bucket] = count
    return counts


def _keys(node: Node) -> tuple[str, str]:
    shard = node.far.shard_of("history")
    return node.far.key("h", shard, VERSION, "seen"), node.far.key("h", shard, VERSION, "samples")
