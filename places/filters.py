"""What a place must be like to be in an answer, besides where it is.

Promises: the table, the index and the tiles filter alike; a place without a rating is none of at least any
rating.
On failure: nothing can fail here.
"""

from typing import NamedTuple


class Filters(NamedTuple):
    """Empty and None: any."""

    cuisine: str = ""
    min_rating: float | None = None

    def takes(self, cuisine: str, rating: float | None) -> bool:
        """Whether a place fits."""
        return self.cuisine in ("", cuisine) and self.good(rating)

    def good(self, rating: float | None) -> bool:
        """Whether it is rated as is asked for."""
        if self.min_rating is None:
            return True
        return rating is not None and rating >= self.min_rating


ANY = Filters()
