"""The admin login of a home, an API key of theirs, and `credentials.json`, the file that tells both.

Promises: the password is random, made once and kept by later runs; a login that no longer works is
repaired, never replaced by another; a key that works is kept, and one that does not, since it was
revoked or the database is another one, is replaced; the url is that of the site that serves, also
after a run that does not; the file is written whole or not at all, for its owner alone (0600).
On failure: CredentialsError when the file is there but is not ours to read, or the admin has too many
keys.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from django.contrib.auth import get_user_model

from accounts import api_keys
from accounts.key_services import TooManyKeys, create_key
from accounts.models import SCOPES, User

USERNAME = "admin"
# The key is for driving the site, so it must not run into a limit meant for others.
PLAN = "demo"


class CredentialsError(Exception):
    """`credentials.json` cannot be used; the message says why and names the file."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What `credentials.json` holds."""

    url: str
    admin_username: str
    admin_password: str
    api_key: str | None


def ensure(home: Path, url: str, *, serving: bool) -> Credentials:
    """Makes the login and the key valid and writes the file. `url` is where the site serves, or would.

    Unless this run is `serving`, a url that is there stays: another run may be serving.
    Raises CredentialsError.
    """
    path = home / "credentials.json"
    known = _read(path)
    credentials = Credentials(
        url=url if serving else known.get("url") or url,
        admin_username=known.get("admin_username") or USERNAME,
        admin_password=known.get("admin_password") or secrets.token_urlsafe(18),
        api_key=known.get("api_key"),
    )
    user = _grant(credentials)
    credentials = replace(credentials, api_key=_working_key(user, credentials.api_key))
    _write(path, json.dumps(asdict(credentials), indent=2) + "\n")
    return credentials


def _read(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CredentialsError(f"{path} cannot be read; remove it to have one made") from error
    if not isinstance(known, dict):
        raise CredentialsError(f"{path} is not a JSON object; remove it to have one made")
    return {name: value for name, value in known.items() if isinstance(value, str) and value}


def _grant(credentials: Credentials) -> User:
    name = credentials.admin_username
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        return get_user_model().objects.create_superuser(
            username=name, password=credentials.admin_password
        )
    if not user.check_password(credentials.admin_password):
        user.set_password(credentials.admin_password)
    user.is_active = user.is_staff = user.is_superuser = True
    user.save()
    return user


def _working_key(user: User, known: str | None) -> str:
    """The known key, if it still does all that it is for; else a new one."""
    # Not by the caches: they may remember the keys of a database that is gone.
    card = api_keys.find_in_table(known) if known else None
    if known and card is not None and card.user == user.pk and set(SCOPES) <= set(card.scopes):
        return known
    try:
        return create_key(user=user, name="make run", scopes=SCOPES, plan=PLAN)[1]
    except TooManyKeys as error:
        raise CredentialsError(f"{user} needs an API key, but: {error}") from error


def _write(path: Path, text: str) -> None:
    """Replaces the file at once, so that no reader finds half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
