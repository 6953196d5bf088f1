"""The JSON parser of the API.

Promise: a body is read up to DATA_UPLOAD_MAX_MEMORY_SIZE bytes and no further, and is UTF-8 (RFC 8259).
On failure: malformed, too deeply nested or out-of-range JSON is a 400 that names the place but none
of the content; a longer body is a 413. No body can end in a 5xx.
"""

from collections.abc import Mapping
from typing import IO, Any

import msgspec
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from rest.errors import ContentTooLarge

# Less than this after half a surrogate pair, and msgspec takes the data for cut off.
PADDING = b" " * 6


class JSONParser(BaseParser):
    """`application/json` through msgspec."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded body; raise ParseError (400) or ContentTooLarge (413)."""
        limit: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(body) > limit:
            raise ContentTooLarge(f"The body is longer than {limit} bytes.")
        try:
            return msgspec.json.decode(body + PADDING)
        except RecursionError as error:
            raise ParseError("JSON is nested too deeply.") from error
        except UnicodeDecodeError as error:
            raise ParseError("JSON is not UTF-8.") from error
        except msgspec.DecodeError as error:
            raise ParseError(f"{error}.") from error
