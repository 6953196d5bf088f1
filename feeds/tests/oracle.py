"""What is true of feeds, in plain Python: no Redis, no database, no cleverness.

A feed is sorted anew at every question, from all posts there are.
"""

from dataclasses import dataclass, field


@dataclass
class Truth:
    """Posts and relations as they were committed."""

    authors: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    follows: set[tuple[int, int]] = field(default_factory=set)
    blocks: set[tuple[int, int]] = field(default_factory=set)
    mutes: set[tuple[int, int]] = field(default_factory=set)

    def shows(self, user: int, author: int) -> bool:
        """Whether the user is shown what the author posts."""
        if user == author:
            return True
        blocked = (user, author) in self.blocks or (author, user) in self.blocks
        pair = (user, author)
        return pair in self.follows and pair not in self.mutes and not blocked

    def feed(self, user: int) -> list[str]:
        """The whole feed, newest first."""
        live = (id for id in self.authors if id not in self.deleted)
        return sorted((id for id in live if self.shows(user, self.authors[id])), reverse=True)

    def block(self, blocker: int, blocked: int) -> None:
        """A block ends follows both ways."""
        self.blocks.add((blocker, blocked))
        self.follows -= {(blocker, blocked), (blocked, blocker)}
