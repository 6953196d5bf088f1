"""API keys, looked up by prefix: L1 in the process, L2 in Redis, the table behind.

Guarantees: `find` answers a key only while it is not revoked, not expired, and its owner is active: in this
process once the write has committed, in others within the bus delay, at most 2 s. Neither cache nor table
holds a key, only its SHA-256, which is compared in constant time. Text with a wrong checksum asks nobody; an
unknown prefix costs one query in `UNKNOWN` seconds over all processes, a wrong secret none.
When Redis is down: L1 and the table answer. When the table is down: known keys open for a day.
"""

import hmac
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.db.models import Q

from accounts.key_text import digest_of, prefix_of
from accounts.models import ApiKey
from accounts.session_state import moment
from accounts.touches import Touches
from caching import Near, TieredCache

# Seconds. A change of which no event tells, or whose event is lost with its process, shows after the first.
TTL = 60.0
STALE_FOR = 86_400.0
UNKNOWN = 10.0
# Seconds between two notes in the table of a key's use.
TOUCH = 60.0
# Keys of which a process remembers when it noted them.
REMEMBERED = 10_000


class KeyCard(msgspec.Struct, frozen=True):
    """A key and its owner, as a request needs them; `expires` in Unix seconds. Without what opens it."""

    id: str
    digest: str
    plan: str
    scopes: tuple[str, ...]
    expires: float | None
    revoked: bool
    user: int
    username: str
    is_active: bool
    is_staff: bool
    is_superuser: bool

    def is_opened_by(self, text: str, now: float) -> bool:
        """Whether this is the key, and it may be used at that moment."""
        in_time = self.expires is None or now < self.expires
        usable = in_time and self.is_active and not self.revoked
        return hmac.compare_digest(self.digest, digest_of(text)) and usable


def load_cards(prefixes: Sequence[str]) -> Mapping[str, KeyCard]:
    """The cards of those prefixes that exist, in one query."""
    rows = ApiKey.objects.filter(prefix__in=prefixes).order_by().select_related("user")
    return {row.prefix: card_of(row) for row in rows}


def card_of(key: ApiKey) -> KeyCard:
    """The card of a row."""
    owner = key.user
    return KeyCard(
        id=key.id,
        digest=key.digest,
        plan=key.plan,
        scopes=tuple(key.scopes.split()),
        expires=key.expires_at.timestamp() if key.expires_at is not None else None,
        revoked=key.revoked_at is not None,
        user=owner.pk,
        username=owner.username,
        is_active=owner.is_active,
        is_staff=owner.is_staff,
        is_superuser=owner.is_superuser,
    )


cards = TieredCache(
    "accounts.api_key",
    load=load_cards,
    schema=KeyCard,
    ttl=TTL,
    stale_for=STALE_FOR,
    negative_ttl=UNKNOWN,
    near=Near(size=10_000),
)


def find(text: str | None) -> KeyCard | None:
    """The card of a key that opens something now, or None. Raises what the database raises."""
    prefix = prefix_of(text) if text is not None else None
    if text is None or prefix is None:
        return None
    card, now = cards.get(prefix), time.time()
    if card is None or not card.is_opened_by(text, now):
        return None
    _touch(card.id, now)
    return card


def find_in_table(text: str) -> KeyCard | None:
    """`find` past every cache, for who must know whether the key will go on to work; notes no use."""
    prefix = prefix_of(text)
    card = load_cards([prefix]).get(prefix) if prefix is not None else None
    return card if card is not None and card.is_opened_by(text, time.time()) else None


def forget(prefixes: Iterable[str], *, using: str = "default") -> None:
    """Have every process look these up anew, once the transaction on `using` commits."""
    cards.invalidate(prefixes, using=using)


def on_keys_changed(*, prefixes: Collection[str], using: str, **_: Any) -> None:
    """Drop what a write to keys or users made wrong."""
    forget(prefixes, using=using)


# By id: when this process noted a key last.
_noted: dict[str, float] = {}


def _touch(id: str, now: float) -> None:
    # A clock that was set back must not hold up what is to be noted.
    if 0 <= now - _noted.get(id, -TOUCH) < TOUCH:
        return
    if len(_noted) >= REMEMBERED:
        _noted.clear()
    _noted[id] = now
    touches.touched(id, now)


def _write(used: Mapping[str, float]) -> None:
    by_second: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for id, seen in used.items():
        by_second[int(seen)][id] = seen
    for seen_at in by_second.values():
        at = min(seen_at.values())
        # Another process may have noted it.
        due = Q(last_used_at=None) | Q(last_used_at__lte=moment(at - TOUCH))
        ApiKey.objects.filter(due, pk__in=sorted(seen_at)).update(last_used_at=moment(at))


touches: Touches[float] = Touches("keys in use", _write)
