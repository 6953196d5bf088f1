"""A clock that a test turns by hand; sleeping turns it too."""

import threading

from caching.clock import Clock


class Ticker:
    """`now` is both the wall's and the monotonic time, in seconds."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def clock(self) -> Clock:
        return Clock(wall=self.read, monotonic=self.read, sleep=self.pass_by, wait=self._wait)

    def read(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    def _wait(self, done: threading.Event, seconds: float) -> bool:
        if not done.is_set():
            self.now += seconds
        return done.is_set()
