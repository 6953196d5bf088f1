"""A stalled machine is told from a slow product.

Promises tested: with the process itself stopped for a while. On failure: the name of the test is the rule
that broke.
"""

import os
import subprocess
import sys
import time

from caching.tests.stalls import ran

STOP_AND_GO = "import os, signal, sys, time; pid = int(sys.argv[1])\n"
STOP_AND_GO += "os.kill(pid, signal.SIGSTOP); time.sleep(0.3); os.kill(pid, signal.SIGCONT)"


def test_a_process_that_was_stopped_did_not_run() -> None:
    time.sleep(0.05)
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", STOP_AND_GO, str(os.getpid())], check=True, timeout=30)
    assert time.monotonic() - began > 0.3
    time.sleep(0.05)
    assert ran(began) < time.monotonic() - began - 0.2


def test_a_process_that_waits_did_run() -> None:
    began = time.monotonic()
    time.sleep(0.2)
    assert ran(began) > 0.15
