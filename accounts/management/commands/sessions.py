"""Shows and ends the sessions of a user: `manage.py sessions list USER`, `manage.py sessions revoke USER`.

Promise: `list` shows the sessions that live, the newest first, and nothing that would open one; `revoke` ends
all of them, or the one of `--id`, in every process from its next request on.
On failure: one line; exit 1 if there is no such session or the database fails, 2 if there is no such user.
"""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts import services
from accounts.management.tables import aligned
from accounts.models import User
from accounts.serializers import SessionCard, session_card
from accounts.session_tiers import sessions_of

HEADINGS = ("ID", "CREATED", "LAST SEEN", "EXPIRES", "ADDRESS", "PROGRAM")


class Command(BaseCommand):
    """The command."""

    help = "List or revoke the sessions of a user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the verb and what it needs."""
        parser.epilog = "Example: manage.py sessions list ada"
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser(
            "list",
            help="the sessions that live, the newest first",
            epilog="Example: manage.py sessions list ada --json",
        )
        listing.add_argument("user", help="a username")
        listing.add_argument("--json", action="store_true", dest="as_json", help="a JSON array")
        revoking = verbs.add_parser(
            "revoke",
            help="end all sessions, or one",
            epilog="Example: manage.py sessions revoke ada",
        )
        revoking.add_argument("user", help="a username")
        revoking.add_argument("--id", help="end just this one")

    def handle(self, *, verb: str, user: str, **options: Any) -> None:
        """Do it; raise CommandError with the exit status for anything but success."""
        try:
            owner = User.objects.get(username=user)
            if verb == "list":
                self._list(owner, options["as_json"])
            else:
                self._revoke(owner, options["id"])
        except User.DoesNotExist as error:
            raise CommandError(f"there is no user {user}", returncode=2) from error
        except DatabaseError as error:
            raise CommandError(f"the database failed ({type(error).__name__})") from error

    def _list(self, user: User, as_json: bool) -> None:
        cards = [session_card(state, current=False) for state in sessions_of(user.pk)]
        if as_json:
            rows = [_without_current(card) for card in cards]
            self.stdout.write(msgspec.json.format(msgspec.json.encode(rows)).decode())
            return
        for line in aligned(HEADINGS, [_cells(card) for card in cards]):
            self.stdout.write(line)

    def _revoke(self, user: User, id: str | None) -> None:
        if id is None:
            self.stdout.write(f"revoked {services.revoke_all(users=[user])} sessions")
        elif services.revoke_session(user=user, id=id):
            self.stdout.write(f"revoked {id}")
        else:
            raise CommandError(f"{user} has no session {id}")


def _cells(card: SessionCard) -> tuple[str, ...]:
    times = (card.created_at, card.last_seen_at, card.expires_at)
    return (card.id, *(f"{time:%F %T}" for time in times), card.ip or "-", card.user_agent or "-")


def _without_current(card: SessionCard) -> dict[str, Any]:
    # A command comes by no session.
    names = (name for name in card.__struct_fields__ if name != "current")
    return {name: getattr(card, name) for name in names}
