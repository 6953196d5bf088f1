"""The WSGI application a server runs.

`granian --interface wsgi config.wsgi:application --workers 2 --blocking-threads 1`
Promises: importing it sets Django up once a process, and gives the bus of the caches its turn quickly.
On failure: a bad setting is one line on stderr and exit 2.
"""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# A thread that computes lets another in after this many seconds. The default of 5 ms, waited for at each
# step of taking a message, would be most of the time until another process's write is seen here.
sys.setswitchinterval(0.0005)

application = get_wsgi_application()
