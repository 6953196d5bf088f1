#!/usr/bin/env python
"""Runs the site's commands: `manage.py help` lists them.

Promises: works from any folder. On failure: one line on stderr and a non-zero exit; Ctrl-C is 130, as a shell
has it, and every command can be started again after it.
"""

import os
import signal
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    interrupted = False
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        interrupted = True
    # Out here, where the interrupt keeps no frame alive and what was begun has been cleaned up.
    if interrupted:
        sys.exit(128 + signal.SIGINT)
