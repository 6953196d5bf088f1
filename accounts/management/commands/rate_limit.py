"""Shows and resets the limits of an API key: `manage.py rate_limit show KEY`, `rate_limit reset KEY`.

Promise: `show` says what is left in each window and how many calls the last 24 hours saw, and spends nothing;
after `reset` the key has all its calls again, in every process.
On failure: one line; exit 1 if Redis or the database does not answer, 2 if there is no such key.
"""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts.key_usage import KeyUsage, reset_limits, usage_of
from accounts.limit_serializers import RateLimitCard, rate_limit_card
from accounts.management.tables import aligned
from accounts.models import ApiKey
from accounts.plans import plan_in_force
from accounts.ratelimit_windows import period_text
from caching.errors import FarDown

WINDOWS = ("LIMIT", "PERIOD", "REMAINING", "RESET")
HOURS = ("HOUR (UTC)", "ALLOWED", "REFUSED")


class Command(BaseCommand):
    """The command."""

    help = "Show or reset the limits of an API key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the verb and the key."""
        parser.epilog = "Example: manage.py rate_limit show 3f98fl5acguf --json"
        verbs = parser.add_subparsers(dest="verb", required=True)
        showing = verbs.add_parser(
            "show",
            help="what is left now, and the calls of the last 24 hours",
            epilog="Example: manage.py rate_limit show 3f98fl5acguf --json",
        )
        showing.add_argument("key", help="its id or its prefix")
        showing.add_argument("--json", action="store_true", dest="as_json", help="a JSON object")
        resetting = verbs.add_parser(
            "reset",
            help="give the key all its calls again",
            epilog="Example: manage.py rate_limit reset 3f98fl5acguf",
        )
        resetting.add_argument("key", help="its id or its prefix")

    def handle(self, *, verb: str, key: str, **options: Any) -> None:
        """Do it; raise CommandError with the exit status for anything but success."""
        try:
            found = ApiKey.objects.named(key)
            if found is None:
                # What was given may be a whole key: it is not repeated.
                raise CommandError("there is no such key; give its id or its prefix", returncode=2)
            if verb == "show":
                self._show(found, as_json=options["as_json"])
            else:
                reset_limits(found)
                self.stdout.write(f"reset {found.pk}")
        except FarDown as error:
            raise CommandError("Redis does not answer") from error
        except DatabaseError as error:
            raise CommandError(f"the database failed ({type(error).__name__})") from error

    def _show(self, key: ApiKey, *, as_json: bool) -> None:
        usage = usage_of(key)
        card = rate_limit_card(plan_in_force(key.plan), usage.decision)
        if as_json:
            self.stdout.write(_json(key, card, usage))
            return
        state = "allowed" if card.allowed else f"refused for {card.retry_after} s"
        self.stdout.write(f"{key.pk}  {key}  plan {card.plan}  {state}\n\n")
        windows = [
            (
                str(each.limit),
                period_text(each.period),
                str(each.remaining),
                f"{each.reset:.1f} s",
            )
            for each in card.windows
        ]
        hours = [
            (f"{each.start:%F %R}", str(each.allowed), str(each.refused)) for each in usage.hours
        ]
        total = ("24 hours", str(usage.allowed), str(usage.refused))
        for line in (*aligned(WINDOWS, windows), "", *aligned(HOURS, [*hours, total])):
            self.stdout.write(line)


def _json(key: ApiKey, card: RateLimitCard, usage: KeyUsage) -> str:
    shown = {
        "id": key.pk,
        "prefix": key.prefix,
        **msgspec.structs.asdict(card),
        "last_24_hours": {
            "allowed": usage.allowed,
            "refused": usage.refused,
            "hours": [each._asdict() for each in usage.hours],
        },
    }
    return msgspec.json.format(msgspec.json.encode(shown)).decode()
