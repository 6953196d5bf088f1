"""What the figures were measured on and with: machine, Python, server, versions of every library.

Promises: names no host, user or path. On a system without /proc the model of the processor is what
Python knows of it.
On failure: PackageNotFoundError when a library is not installed: `make bench` installs them all.
"""

import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django_redis import get_redis_connection

LIBRARIES = (
    "Django", "djangorestframework", "granian", "django-redis", "redis", "hiredis", "msgspec",
    "cachebox", "cachetools", "dogpile.cache", "cashews", "django-cacheops",
    "django-qsessions", "django-ratelimit", "limits", "numpy", "psycopg",
)  # fmt: skip


def surroundings() -> str:
    """A markdown list; asks the server of the site's settings for its version."""
    load = os.getloadavg()[0]
    facts = {
        "Processor": f"{_processor()}, {os.cpu_count()} cores, load {load:.1f} at the start",
        "System": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Server": _server(),
        "Libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "HTTP load": "wrk" if shutil.which("wrk") else "benchmarks/load.py",
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _server() -> str:
    client: Any = get_redis_connection("default")
    info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}, unix socket"
    return f"Redis {info['redis_version']}, unix socket"
