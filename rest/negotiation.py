"""Which form of an answer a client gets that takes several: the one it says it would rather have.

Promise: the quality of each form is that of the most specific range of `Accept` that covers it, and the best
one wins (RFC 9110, 12.5.1); of equals the one that is named more exactly, then the view's own order. DRF's
own negotiation takes the most specific range, however little the client wants it.
On failure: NotAcceptable (406) where nothing is covered, or what is has a quality of 0.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from django.http.request import MediaType
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class QualityNegotiation(DefaultContentNegotiation):
    """For views with more than one renderer."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type; raise NotAcceptable."""
        accepted = sorted(
            map(MediaType, self.get_accept_list(request)),
            key=attrgetter("specificity", "quality"),
            reverse=True,
        )
        offered = list(renderers)
        best = max(offered, key=lambda renderer: _wish(renderer, accepted))
        if _wish(best, accepted)[0] > 0:
            return best, best.media_type
        raise NotAcceptable(available_renderers=offered)


def _wish(renderer: BaseRenderer, accepted: Sequence[MediaType]) -> tuple[float, int]:
    """How much it is wanted, and how exactly it is named; `accepted` has the most specific first."""
    for media_type in accepted:
        if _covers(media_type, renderer.media_type):
            return media_type.quality, media_type.specificity
    return 0.0, 0


def _covers(media_type: MediaType, name: str) -> bool:
    # A parameter, as `charset`, asks for no other form.
    main, _, sub = name.partition("/")
    return media_type.main_type in ("*", main) and media_type.sub_type in ("*", sub)
