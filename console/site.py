"""Django's admin with the scoreboard for its home, and the address that the page asks every two seconds.

Promises: for staff with the permission `console.view_scoreboard`, and only to look; others of staff have the
list of apps, as ever. Answers are of this moment, and stored by nobody.
On failure: 403 and 400 are problem details, which the page tells; what is down is in the answer.
"""

import re
from http import HTTPStatus
from typing import Any

from django.contrib.admin import AdminSite
from django.forms import Media
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from caching.errors import FarDown
from console.board import board
from console.charts import FIGURES, hour
from console.tables import slug
from rest.problems import answer, problem

PERMISSION = "console.view_scoreboard"
# Of Unix seconds.
SINCE = re.compile("[0-9]{1,11}")
# The one copy of the library is that of the dashboards.
MEDIA = Media(
    css={"all": ["analytics/uplot/uPlot.min.css", "console/scoreboard.css"]},
    js=["analytics/uplot/uPlot.iife.min.js", "console/charts.js", "console/scoreboard.js"],
)


class ConsoleSite(AdminSite):
    """In the place of Django's."""

    index_template = "admin/console/index.html"
    site_header = "Headwater"
    site_title = "Headwater"
    index_title = "Home"

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Add the address of the scoreboard."""
        return [
            path("scoreboard/", never_cache(self.scoreboard_view), name="scoreboard"),
            *super().get_urls(),
        ]

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The home, with the scoreboard for those who may look."""
        context = {**(extra_context or {})}
        if self._may_look(request):
            now = board()
            context["board"] = now
            context["charts"] = {
                "media": MEDIA,
                "figures": FIGURES,
                "of": [(slug(name), name) for name in now.use_cases],
            }
        return super().index(request, context)

    @method_decorator(require_safe)
    def scoreboard_view(self, request: HttpRequest) -> HttpResponse:
        """What the page shows, and of its charts what came after `since`."""
        if not self._may_look(request):
            return answer(problem(HTTPStatus.FORBIDDEN, "Log in as staff who may look at this."))
        since = request.GET.get("since", "0")
        if not SINCE.fullmatch(since):
            errors = {"since": ["Whole Unix seconds."]}
            return answer(problem(HTTPStatus.BAD_REQUEST, "since is no time.", errors))
        now = board()
        try:
            history = hour(float(since))
        except FarDown:
            history = None
        body = {"at": now.at, "cells": now.cells, "notices": now.notices, "history": history}
        return JsonResponse(body)

    def _may_look(self, request: HttpRequest) -> bool:
        return self.has_permission(request) and request.user.has_perm(PERMISSION)
