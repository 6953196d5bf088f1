"""What of a page a strict policy stops: script and style that are in it, and not in a file.

Promise: finds elements, attributes and addresses. On failure: nothing can fail here.
"""

from html.parser import HTMLParser

DATA = {"application/json", "application/ld+json"}


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (
            tag == "script" and "src" not in given and given.get("type") not in DATA
        ):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.found.append(f"<{tag} {name}>")
            elif (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value}>")


def inline_code(text: str) -> list[str]:
    """What there is of it."""
    finder = _Finder()
    finder.feed(text)
    return finder.found
