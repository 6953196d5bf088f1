"""The JSON renderer of the API, on msgspec.

Promise: decimals are strings, times are RFC 3339 in UTC with `Z`, a `msgspec.Struct` is encoded as it
is, in its field order; equal values give equal bytes, which the ETag relies on. Always UTF-8.
On failure: a value msgspec does not know raises TypeError, a programming error and so a 500.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.utils.functional import Promise
from rest_framework.renderers import BaseRenderer


def _plain(value: Any) -> Any:
    # Django's lazy translations and DRF's ErrorDetail are texts that msgspec does not take as such.
    if isinstance(value, str | Promise):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain, decimal_format="string")


def encode(value: Any) -> bytes:
    """Return `value` as JSON, exactly as the API answers it."""
    return _encoder.encode(value)


class JSONRenderer(BaseRenderer):
    """`application/json`; no charset parameter, since JSON has none (RFC 8259)."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "text"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return `data` as JSON bytes; nothing for no data, as a 204 needs."""
        return b"" if data is None else encode(data)
