"""Looks at the whole site and says what is wrong with it, and what to do: `manage.py doctor`.

Promises: it only looks, and changes nothing but to start the embedded Redis, as any command does; no finding
repeats a password. Knows no app: what apps know of themselves they say as Django checks.
On failure: what cannot be looked at is a finding of its own. Nothing in production imports this package.
"""
