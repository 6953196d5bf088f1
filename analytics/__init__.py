"""Orders, and dashboards that are always there and say how old they are; see `analytics.dashboards`.

Promises: a dashboard is exact for the moment it names, and is refreshed by what has changed alone.
On failure: the last good view is served, marked with its age.
"""
