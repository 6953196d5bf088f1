"""Makes, shows and revokes API keys: `manage.py api_keys create USER`, `list [USER]`, `revoke ID_OR_PREFIX`.

Promise: `create` prints the key alone on stdout, for a script to take, and says it nowhere else; `list`
shows all keys, the newest first, and nothing that opens; what is revoked opens nothing from the next request
on.
On failure: one line; exit 1 if there is no such key, one key too many, or the database fails, 2 for an
unknown user and for what no key can be.
"""

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from accounts.key_serializers import api_key_card, new_api_key_card
from accounts.key_services import READ_ONLY, TooManyKeys, create_key, revoke_keys
from accounts.management.tables import aligned
from accounts.models import SCOPES, ApiKey, User

HEADINGS = (
    *("ID", "NAME", "PREFIX", "OWNER", "PLAN", "SCOPES"),
    *("CREATED", "LAST USED", "EXPIRES", "REVOKED"),
)
DAYS = re.compile(r"([1-9][0-9]{0,4})d")


class Command(BaseCommand):
    """The command."""

    help = "Create, list or revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the verb and what it needs."""
        parser.epilog = "Example: manage.py api_keys create ada --name 'price import'"
        verbs = parser.add_subparsers(dest="verb", required=True)
        creating = verbs.add_parser(
            "create",
            help="make a key, and print it this once",
            epilog="Example: manage.py api_keys create ada --name 'price import' --expires 30d",
        )
        creating.add_argument("user", help="a username")
        creating.add_argument("--name", required=True, help="what it is for")
        creating.add_argument("--plan", help="one of the plans of API_PLANS")
        creating.add_argument(
            "--scope", action="append", choices=SCOPES, help="may be repeated; read if left out"
        )
        creating.add_argument("--expires", type=_moment, help="2027-01-01 (UTC), or 30d from now")
        creating.add_argument("--json", action="store_true", dest="as_json", help="a JSON object")
        listing = verbs.add_parser(
            "list",
            help="the keys, the newest first",
            epilog="Example: manage.py api_keys list ada --json",
        )
        listing.add_argument("user", nargs="?", help="only those of this username")
        listing.add_argument("--json", action="store_true", dest="as_json", help="a JSON array")
        revoking = verbs.add_parser(
            "revoke",
            help="revoke a key, for good",
            epilog="Example: manage.py api_keys revoke 3f98fl5acguf",
        )
        revoking.add_argument("key", help="its id or its prefix")

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do it; raise CommandError with the exit status for anything but success."""
        try:
            if verb == "create":
                self._create(**options)
            elif verb == "list":
                self._list(**options)
            else:
                self._revoke(**options)
        except ValidationError as error:
            wrong = "; ".join(f"{name}: {texts[0]}" for name, texts in error.message_dict.items())
            raise CommandError(wrong, returncode=2) from error
        except TooManyKeys as error:
            raise CommandError(f"{options['user']}: {error}") from error
        except DatabaseError as error:
            raise CommandError(f"the database failed ({type(error).__name__})") from error

    def _create(self, *, user: str, as_json: bool, **wanted: Any) -> None:
        key, text = create_key(
            user=_user(user),
            name=wanted["name"],
            plan=wanted["plan"],
            scopes=wanted["scope"] or READ_ONLY,
            expires_at=wanted["expires"],
        )
        card = new_api_key_card(key, text)
        self.stdout.write(_json(card) if as_json else text)
        self.stderr.write(f"{key.id}: shown this once; send it in X-API-Key")

    def _list(self, *, user: str | None, as_json: bool, **_: Any) -> None:
        keys = ApiKey.objects.select_related("user")
        if user is not None:
            keys = keys.filter(user=_user(user))
        if as_json:
            owned = [(key.user.username, api_key_card(key)) for key in keys]
            rows = [{**msgspec.structs.asdict(card), "user": owner} for owner, card in owned]
            self.stdout.write(_json(rows))
            return
        for line in aligned(HEADINGS, [_cells(key) for key in keys]):
            self.stdout.write(line)

    def _revoke(self, *, key: str, **_: Any) -> None:
        found = ApiKey.objects.named(key)
        if found is None:
            raise CommandError("there is no such key")
        done = revoke_keys(keys=ApiKey.objects.filter(pk=found.pk))
        self.stdout.write(f"revoked {found.id}" if done else f"{found.id} was revoked before")


def _user(username: str) -> User:
    # Some databases refuse to look for what no username can hold, and it would not be one line.
    if not username.isprintable():
        raise CommandError("there is no such user", returncode=2)
    user: User | None = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"there is no user {username}", returncode=2)
    return user


def _cells(key: ApiKey) -> tuple[str, ...]:
    times = (key.created_at, key.last_used_at, key.expires_at, key.revoked_at)
    what = (key.id, key.name, key.prefix, key.user.username, key.plan, key.scopes)
    return (*what, *(f"{time:%F %T}" if time is not None else "-" for time in times))


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def _moment(text: str) -> datetime:
    days = DAYS.fullmatch(text)
    if days is not None:
        return timezone.now() + timedelta(days=int(days[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("must be a date such as 2027-01-01, or days such as 30d") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
