"""Where a bucket of the limiter is kept in Redis.

Promise: a bucket's keys share its hash tag, so that a script may take them together, on a cluster too.
On failure: a name that is no text, with half a character in it, is a ValueError, with or without Redis.
"""

from caching.far import Far


def key_of(far: Far, kind: str, bucket: str) -> str:
    """The key of one kind: `r` for the calls in the windows, `u` for the numbers by the hour.

    Raises ValueError, and FarDown while nobody knows whether Redis is a cluster.
    """
    try:
        bucket.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{bucket!r:.60} cannot name a bucket: half a character is no text"
        ) from error
    return far.key(kind, far.shard_of(bucket), bucket)
