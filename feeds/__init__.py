"""Posts, follows and feeds: write fan-out into sorted sets; the pattern is in `feeds.timeline`.

Promises: a feed never loses, repeats or misplaces a post, whatever is written, killed or lost meanwhile.
On failure: without Redis the database answers every read; see each module.
"""
