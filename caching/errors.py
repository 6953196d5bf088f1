"""The errors of the kernel, all under one base.

A read never raises any of these for a Redis that is slow, full or gone: `FarDown` is what the layers
tell one another, and it surfaces only where somebody asks about Redis itself. What a loader raises
reaches the reader as it is, when there is no last good value to serve in its place.
"""


class CachingError(Exception):
    """Base of all errors raised by `caching`."""


class FarDown(CachingError):
    """Redis did not answer, answered with an error, or is not asked while its breaker is open."""


class NoAnswer(FarDown):
    """Redis was asked and did not answer: it may have done what it was asked all the same."""


class DuplicateName(CachingError):
    """Two caches or subjects were declared under one name; what is theirs would mix."""


class UnknownSubject(CachingError, LookupError):
    """Something is to be told of a commit that nobody has declared."""


class BadId(CachingError, ValueError):
    """An id is not a string of 1 to 512 characters."""
