"""`manage.py demo [--json]`: runs the whole site and measures it; `--serve` runs it and keeps serving.

Promises: from an empty home: migrates, seeds, makes the admin login and an API key, starts the real server
and worker, drives every use case over HTTP and prints target against measured. Its children end with it.
On failure: exit 1 with one line naming every target that was missed, or the child that did not run; exit 2
with one line for a taken port, an unusable home, database or Redis. Ctrl-C and SIGTERM stop everything.
"""

import json
import signal
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from caching import node
from caching.errors import FarDown
from caching.matrix import console
from caching.quiet import quiet
from demo import server, verdict
from demo.credentials import Credentials, CredentialsError, ensure
from demo.discovery import demos
from demo.measuring import measure
from demo.processes import ChildError, Children
from demo.seeding import seed
from demo.site import HOST, RunningSite, SiteError

SECONDS = 12.0  # the most one use case is driven for
REDIS_WITHIN = 15.0  # seconds: an embedded one may have to end for another run first, or load much


class Command(BaseCommand):
    help = "Runs the whole site on this machine and prints the matrix, or keeps serving."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "Example: manage.py demo --reads 5000 --json"
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--serve", action="store_true", help="keep serving on PORT")
        form.add_argument(
            "--json", action="store_true", dest="as_json", help="the matrix as a JSON array"
        )
        parser.add_argument(
            "--reads", type=_positive, default=20_000, help="the most reads of one use case"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _end)
        try:
            # That Redis is down is said once, below; the children's own logs keep the details.
            with quiet():
                if options["serve"]:
                    self._serve()
                else:
                    self._measure(options["reads"], as_json=options["as_json"])
        except (server.PortBusyError, CredentialsError) as error:
            raise CommandError(str(error), returncode=2) from error
        except FarDown as error:
            raise CommandError(str(error), returncode=2) from error
        except DatabaseError as error:
            raise CommandError(f"the database cannot be used: {error}", returncode=2) from error
        except (ChildError, SiteError, OSError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError("interrupted", returncode=128 + signal.SIGINT) from error

    def _measure(self, reads: int, *, as_json: bool) -> None:
        # What is being done is not part of the answer.
        say = self.stderr.write if as_json else self._say
        credentials = self._prepare(say, serving=False)
        port = server.free_port()
        with Children(settings.HEADWATER_HOME / "logs") as children:
            say("Starting the server and the worker ...")
            server.start(children, port, "demo.wsgi:application", debug=False)
            site = RunningSite(port, server.WORKERS, credentials, reads=reads, seconds=SECONDS)
            results = []
            try:
                for demo in demos():
                    say(f"Driving {demo.USE_CASE.name} over HTTP ...")
                    results.append(measure(demo, site))
                    children.check()
            finally:
                site.close()
        if as_json:
            self.stdout.write(json.dumps(verdict.plain(results)))
        else:
            verdict.show(results, console())
        misses = list(verdict.missed(results))
        if misses:
            raise CommandError("missed: " + "; ".join(misses))
        say(f"All targets hold ({len(results)} use cases).")

    def _serve(self) -> None:
        server.claim(settings.PORT)
        credentials = self._prepare(self._say, serving=True)
        with Children(settings.HEADWATER_HOME / "logs") as children:
            application = ":".join(settings.WSGI_APPLICATION.rsplit(".", 1))
            server.start(children, settings.PORT, application, debug=settings.DEBUG)
            self._say(f"Serving on      {credentials.url}  (admin at /admin/, API at /api/docs/)")
            self._say(
                f"Admin login     {credentials.admin_username} / {credentials.admin_password}"
            )
            self._say(f"X-API-Key       {credentials.api_key}")
            self._say(f"Credentials in  {settings.HEADWATER_HOME / 'credentials.json'}")
            self._say("Ctrl-C stops it.")
            try:
                children.watch()
            except KeyboardInterrupt:
                self._say("\nStopping ...")

    def _prepare(self, say: Callable[[str], None], *, serving: bool) -> Credentials:
        node.ready(within=REDIS_WITHIN)
        say("Preparing the database and the demo rows ...")
        call_command("migrate", verbosity=0, interactive=False)
        seed("small")
        return ensure(settings.HEADWATER_HOME, f"http://{HOST}:{settings.PORT}", serving=serving)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _end(number: int, _: FrameType | None) -> None:
    """Lets SIGTERM leave through the same `finally` blocks as any error."""
    raise SystemExit(128 + number)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ArgumentTypeError("must be a whole number above 0")
    return int(text)
