"""How a line of the log looks: for people, or as JSON for machines; LOG_FORMAT says which.

Promises: each line made during a request, or for it by a task, has the request's id; passwords in addresses,
API keys, bearer tokens and session cookies are masked, wherever in a line, an exception's text included. JSON
is one object a line: `timestamp`, `level`, `logger`, `event`, and what the line has beside.
On failure: what cannot be encoded is written as its `repr`.
"""

import logging
import re
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from rest import request_id

MASKS = (
    # To the last @, since a password may hold one.
    (re.compile(r"(?<=://)[^\s\"'<>]*@"), "***@"),
    (re.compile(r"\bhw_([a-z0-9]+)_[A-Za-z0-9_-]+"), r"hw_\1_***"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\b((?:__Host-)?(?:sessionid|csrftoken))=[^\s;,\"']+"), r"\1=***"),
)
# What a line of ours may carry beside its text. Django's own extras hold whole requests.
EXTRAS = ("method", "path", "status_code", "duration_ms")


def masked(text: str) -> str:
    """`text` without what would open something."""
    for secret, mask in MASKS:
        text = secret.sub(mask, text)
    return text


class Text(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}{tail}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and an exception's below it."""
        id = id_of(record)
        record.tail = f" [{id}]" if id else ""
        return masked(super().format(record))


class Json(structlog.stdlib.ProcessorFormatter):
    """A line for machines."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(allow=EXTRAS),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _add_id,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(_encode),
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return masked(super().format(record))


def _encode(event: EventDict, **_: Any) -> str:
    # With ACCESS_LOG this is done for each request.
    return msgspec.json.encode(event, enc_hook=repr).decode()


def id_of(record: logging.LogRecord) -> str | None:
    """The id of the request that a record is about, if it is about one."""
    request = getattr(record, "request", None)
    return getattr(request, "request_id", None) or request_id.current()


def _add_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: Any = event.get("_record")
    id = id_of(record) if record is not None else request_id.current()
    if id:
        event["request_id"] = id
    return event
