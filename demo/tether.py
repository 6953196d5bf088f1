"""`python -m demo.tether MODULE ARG...`: runs a module that ends when its parent is gone.

Promises: the program gets SIGTERM, and so its own graceful stop, as soon as the write end of the
pipe on its standard input closes; the system closes that when the parent ends, however it ends
(SIGKILL too).
On failure: without a pipe on standard input there is no parent to outlive, and it ends at once.
"""

import os
import runpy
import signal
import sys
import threading


def _hold() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    del sys.argv[0]
    threading.Thread(target=_hold, name="tether", daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
