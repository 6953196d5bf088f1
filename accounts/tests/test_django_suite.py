"""Django's own suite for session backends passes, from the source distribution of the Django in use.

`make test` downloads it beside the installed packages; nothing of it is copied into the project. On failure:
the output of Django's test runner.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest
from django.conf import settings

SOURCE = Path(sys.prefix) / "src" / f"django-{django.__version__}.tar.gz"
TESTS = f"django-{django.__version__}/tests"


@pytest.mark.slow
def test_djangos_own_suite_for_session_backends_passes(tmp_path: Path) -> None:
    assert SOURCE.exists(), f"{SOURCE} is missing: `make test` downloads it"
    with tarfile.open(SOURCE) as source:
        wanted = [m for m in source.getmembers() if m.name.startswith(f"{TESTS}/sessions_tests/")]
        source.extractall(tmp_path, wanted, filter="data")
    paths = [str(tmp_path / TESTS), str(settings.BASE_DIR)]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", "test", "accounts.tests.django_suite"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "DJANGO_SETTINGS_MODULE": "config.tests.django_suite_settings",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\nOK\n" in ran.stderr
    assert "skipped" not in ran.stderr
