"""Users of the site.

Promises: the user model is the project's own from the first migration on.
On failure: Django's own errors; nothing here talks to Redis.
"""
