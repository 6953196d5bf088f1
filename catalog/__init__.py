"""Products and categories, read through a multi-layer cache.

Promise: every committed write is seen by the next read; see docs/catalog.md for the whole of it.
On failure: reads go on without Redis, and for a day without the database; see catalog/cache.py.
"""
