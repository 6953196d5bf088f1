"""A page of somebody's feed: timeline, merged authors, hydration, and the last word on what is shown.

Promises: a page is the newest posts at its place that the reader may see, in the order of their ids, no more
and no fewer than asked for while there are any; a walk along `next` shows each post that was there when it
began exactly once, whatever is posted meanwhile. A warm page is two round trips: the timeline with the
relations, then the posts that L1 lacks. Where a timeline ends for want of room, the database goes on.
A missing timeline is made by one reader; the others wait for it a moment, then ask the database.
On failure: without Redis the database answers, the same; ValueError for a cursor or a page that is none.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from rest_framework.exceptions import ValidationError

from caching import TieredCache
from caching.commit import in_transaction
from caching.errors import FarDown
from caching.node import current
from caching.reading import Layer
from caching.registry import tally_as
from feeds import posts, relations, rows, timeline
from feeds.chunks import chunks
from feeds.post_ids import checked
from feeds.posts import PostCard
from feeds.relations import Authors
from rest.cursor import Cursor, decode_cursor

V = TypeVar("V")

NAME = "feeds"
tally_as(
    NAME,
    {
        "pages": "Pages of feeds that were read.",
        "filled_up": "Pages that took a second look, since something on them may not be shown.",
        "merged": "Pages with posts of authors who are merged at read.",
        "rebuilds": "Timelines made of what the database has.",
        "deep": "Pages that went on in the database, below the end of a timeline.",
        "deliveries": "Posts delivered or taken back, relations followed up.",
        "delivered": "Timelines that deliveries reached.",
    },
)

# Posts looked at beyond those that fill a page: a few that may not be shown cost no second look.
SPARE = 5
# Seconds between looks for a timeline that somebody else is making; then the database is asked.
WAITS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
# The deepest post that a page number reaches.
DEEPEST = 1000


class Page(NamedTuple):
    """The posts of one page, newest first, and the cursors of its neighbours, None at an end.

    `layer`: 'db' if the database was asked for any of it, else 'l2', since timelines are in Redis alone.
    """

    posts: tuple[PostCard, ...]
    next: str | None
    previous: str | None
    layer: Layer


class View(NamedTuple):
    """What is known without the database: `ids`, newest first, are all down to and with `bound`.

    '' is a bound below all posts; `deep` says that only the database knows what is below.
    """

    authors: Authors
    ids: list[str]
    bound: str
    deep: bool


def page(user: int, *, cursor: str | None = None, number: int = 1, per_page: int = 20) -> Page:
    """The page at a cursor, or, without one, of that number from 1.

    Raises ValueError for text that is no cursor, and a number beyond `DEEPEST` posts.
    """
    if number < 1 or number * per_page > max(DEEPEST, per_page):
        raise ValueError(f"pages go down to {DEEPEST} posts; further down scroll with a cursor")
    current().ledger.tally(NAME)["pages"] += 1
    place = _place(cursor)
    if place is not None and place.back:
        return _page_before(user, place.id, per_page)
    layers: set[Layer] = set()
    skipped = 0 if place else (number - 1) * per_page
    before = place.id if place else ""
    end = skipped + per_page
    found = list(islice(_visible(user, before, end + 1, layers), end + 1))
    shown, more = found[skipped:end], len(found) > end
    below = Cursor(shown[-1].id).encode() if shown and more else None
    above = Cursor(shown[0].id, back=True).encode() if shown and (place or number > 1) else None
    return Page(tuple(shown), below, above, "db" if "db" in layers else "l2")


def rebuild(user: int) -> bool:
    """Make timeline and relations anew of the tables; False if something came in between. Raises FarDown."""
    timeline.clear([user])
    relations.drop([user])
    found = timeline.find(user, 1)
    _restored(user, found.authors_token)
    return found.token is not None and _rebuilt(user, found.token)[1]


def _read(cache: TieredCache[V], ids: Iterable[str], layers: set[Layer]) -> dict[str, V]:
    """The values that exist, in order; `layers` learns which ones answered."""
    reads = cache.read_many(ids)
    layers.update(read.layer for read in reads.values())
    return {id: read.value for id, read in reads.items() if read.value is not None}


def _place(cursor: str | None) -> Cursor | None:
    if cursor is None:
        return None
    try:
        place = decode_cursor(cursor)
    except ValidationError:
        raise ValueError(f"not a cursor of a feed: {cursor!r:.80}") from None
    checked(place.id)
    return place


def _page_before(user: int, id: str, per_page: int) -> Page:
    """The page above a post: seldom asked for, so the database answers."""
    found: list[PostCard] = []
    after, more = id, True
    while more and len(found) <= per_page:
        ids = rows.feed_of(user, per_page + 1, after=after)
        more = len(ids) > per_page
        known = posts.cards.get_many(ids)
        found += known.values()
        after = ids[-1] if ids else after
    shown = found[:per_page][::-1]
    if not shown:
        return Page((), None, None, "db")
    above = Cursor(shown[0].id, back=True).encode() if len(found) > per_page else None
    return Page(tuple(shown), Cursor(shown[-1].id).encode(), above, "db")


def _visible(user: int, before: str, wanted: int, layers: set[Layer]) -> Iterator[PostCard]:
    """The posts older than `before` that the user may see, newest first; about `wanted` are looked up."""
    given, looks, place = 0, 0, before
    while (view := _view(user, place, before, wanted - given + SPARE, layers)) is not None:
        looks += 1
        if looks == 2:
            current().ledger.tally(NAME)["filled_up"] += 1
        for ids in chunks(view.ids, wanted - given + SPARE):
            for card in _read(posts.cards, ids, layers).values():
                if relations.shows(view.authors, card.author):
                    given += 1
                    yield card
        place = view.bound
        if not place:
            return
        # A timeline may have begun with posts of the very millisecond that are newer.
        before = min(before, place) if before else place
        if view.deep:
            current().ledger.tally(NAME)["deep"] += 1
            break
    layers.add("db")
    yield from _from_database(user, before, wanted - given + SPARE)


def _from_database(user: int, before: str, wanted: int) -> Iterator[PostCard]:
    """What the tables say; a post that has been deleted since they were asked has no card."""
    while True:
        ids = rows.feed_of(user, wanted, before=before)
        yield from posts.cards.get_many(ids).values()
        if len(ids) < wanted:
            return
        before = ids[-1]


def _view(user: int, place: str, before: str, count: int, layers: set[Layer]) -> View | None:
    """What timeline, from `place` on, and merged authors have; None where only the database can answer."""
    # Before the timeline: who is merged no more by then has all posts in the one that is found.
    [merged] = _read(posts.merged, [posts.ALL], layers).values()
    try:
        found = _found(user, place, count, layers)
    except FarDown:
        timeline.counts().far_errors += 1
        return None
    if found is None:
        return None
    authors, part = found
    bound, deep = _bound(part)
    ids = {id for id in part.ids if not before or id < before}
    followed = relations.among(authors, merged.authors)
    if followed:
        current().ledger.tally(NAME)["merged"] += 1
        for known in _read(posts.newest, map(str, followed), layers).values():
            older = known.before(before)
            ids.update(older[-count:])
            if len(older) > count and older[-count] > bound:
                bound, deep = older[-count], False
            elif len(older) <= count and known.cut and known.ids[0] > bound:
                bound, deep = known.ids[0], True
    return View(authors, sorted((id for id in ids if id >= bound), reverse=True), bound, deep)


def _bound(part: timeline.Slice) -> tuple[str, bool]:
    """Down to where a slice has everything, and whether nothing but the database knows more."""
    if not part.ends:
        return part.ids[-1], False
    # The smallest text above the floor: what is equal to it is left out.
    return (f"{part.floor}0", True) if part.floor else ("", False)


def _found(
    user: int, before: str, count: int, layers: set[Layer]
) -> tuple[Authors, timeline.Slice] | None:
    """A slice and the relations, made if need be; None when somebody else takes too long. Raises FarDown."""
    counts, clock = timeline.counts(), current().clock
    lease = not in_transaction()
    began = clock.monotonic()
    missed = False
    for wait in (*WAITS, None):
        found = timeline.find(user, count, before=before, lease=lease)
        authors = found.authors
        if authors is None:
            authors = _restored(user, found.authors_token)
            layers.add("db")
        if found.slice is not None:
            counts.l2_hits += not missed
            counts.timed_l2(clock.monotonic() - began)
            return authors, found.slice
        counts.misses += not missed
        missed = True
        if found.token is not None:
            whole, _ = _rebuilt(user, found.token)
            layers.add("db")
            return authors, _slice_of(whole, before, count)
        if wait is None or not lease:
            break
        counts.refusals += 1
        clock.sleep(wait)
    return None


def _restored(user: int, token: bytes | None) -> Authors:
    authors = rows.authors_shown_to(user)
    if token is not None:
        relations.restore(user, authors, token)
    return authors


def _rebuilt(user: int, token: bytes) -> tuple[list[str], bool]:
    """All that a timeline has room for and one more; and whether it is there now. Raises FarDown."""
    clock = current().clock
    began = clock.monotonic()
    ids = rows.feed_of(user, timeline.MOST + 1)
    done = timeline.populate(user, ids, token)
    counts = timeline.counts()
    counts.loads += 1
    counts.timed_load(clock.monotonic() - began)
    current().ledger.tally(NAME)["rebuilds"] += 1
    return ids, done


def _slice_of(whole: Sequence[str], before: str, count: int) -> timeline.Slice:
    """The slice that the timeline just made has."""
    floor = whole[timeline.MOST] if len(whole) > timeline.MOST else ""
    older = [id for id in whole[: timeline.MOST] if not before or id < before]
    return timeline.Slice(older[:count], floor, ends=len(older) < count)
