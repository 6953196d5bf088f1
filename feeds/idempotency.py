"""Idempotency keys: a request that is sent again is answered again, and done once.

As in draft-ietf-httpapi-idempotency-key-header. Promises: the answer is stored in the transaction of what it
answers, so that there are both or neither, whatever dies when; Redis has no part in it. Of two requests with
one key at the same moment one is done, the other is told to come back. Who did not come to its end, because
its process died, is replaced after `HOLD` seconds; should it go on after all, it finds its claim gone, and
nothing of it is written. A key is its user's own, and is kept for a day.
On failure: Malformed, Mismatch or UnderWay; what the write itself raises, and then the key is free again.
"""

import hashlib
import logging
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from django.db import DatabaseError, transaction
from django.utils import timezone

from feeds.models import KEY_LENGTH, IdempotencyKey

logger = logging.getLogger(__name__)

# What a request is repeated within.
LIFE = timedelta(hours=24)
# Seconds for a write to come to its end; it takes milliseconds, unless others write all the while.
HOLD = 10
# Keys deleted in one transaction.
CHUNK = 1000

_PRINTABLE = re.compile(rf"[\x20-\x7e]{{1,{KEY_LENGTH}}}")


class Malformed(ValueError):
    """The text is no key."""


class Mismatch(Exception):
    """The key came with another body before."""


class UnderWay(Exception):
    """A request with this key is being done; `wait`: seconds after which to come back."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


class Answer(NamedTuple):
    """What the first request was answered, in JSON; `replayed` if this is not the first."""

    body: str
    replayed: bool


def key_of(header: str) -> str:
    """The key in the header's value: bare, or in quotes as a structured field has it. Raises Malformed."""
    quoted = len(header) > 1 and header[0] == header[-1] == '"'
    key = header[1:-1] if quoted else header
    if not _PRINTABLE.fullmatch(key):
        raise Malformed(f"an idempotency key has 1 to {KEY_LENGTH} printable ASCII characters")
    return key


def once(*, user: int, key: str, body: Any, write: Callable[[], bytes]) -> Answer:
    """What `write` returns, or returned at the first time; it runs in the transaction of the answer.

    Raises Mismatch, UnderWay, and what `write` raises. Not to be called in a transaction.
    """
    fingerprint = hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
    claim = secrets.token_hex(16)
    answer = _claimed(user, key, fingerprint, claim)
    if answer is not None:
        return answer
    mine = IdempotencyKey.objects.filter(user_id=user, key=key, claim=claim)
    try:
        with transaction.atomic():
            text = write().decode()
            if not mine.update(answer=text):
                # Somebody took over, and will answer soon.
                raise UnderWay(1)
    except BaseException:
        _release(user, key, claim)
        raise
    return Answer(text, replayed=False)


def forget() -> int:
    """Delete the keys that are past their time, a chunk a transaction; how many."""
    deleted = 0
    while True:
        past = IdempotencyKey.objects.filter(created_at__lte=timezone.now() - LIFE)
        ids = list(past.order_by("created_at").values_list("pk", flat=True)[:CHUNK])
        # Asked again: a key that is past its time may have been taken anew.
        deleted += past.filter(pk__in=ids).delete()[0]
        if len(ids) < CHUNK:
            return deleted


@transaction.atomic
def _claimed(user: int, key: str, fingerprint: str, claim: str) -> Answer | None:
    """The answer that is there; None if the request is the caller's to do. Raises Mismatch, UnderWay."""
    now = timezone.now()
    fresh = {
        "fingerprint": fingerprint,
        "claim": claim,
        "claimed_at": now,
        "created_at": now,
        "answer": "",
    }
    rows = IdempotencyKey.objects.select_for_update()
    row, made = rows.get_or_create(user_id=user, key=key, defaults=fresh)
    if made:
        return None
    if row.created_at > now - LIFE:
        if row.fingerprint != fingerprint:
            raise Mismatch
        if row.answer:
            return Answer(row.answer, replayed=True)
        held = (row.claimed_at - now).total_seconds() + HOLD
        if held > 0:
            raise UnderWay(max(1, round(held)))
        fresh["created_at"] = row.created_at
    IdempotencyKey.objects.filter(pk=row.pk).update(**fresh)
    return None


def _release(user: int, key: str, claim: str) -> None:
    try:
        IdempotencyKey.objects.filter(user_id=user, key=key, claim=claim, answer="").delete()
    except DatabaseError as error:
        logger.warning("an idempotency key stays claimed for a while: %s", type(error).__name__)
