"""MongoDB as Django's apps take a database to be: a thin engine over MongoDB's own `django-mongodb-backend`.

What it adds: `transaction.atomic` with a session of its own, row locks, upserts, ids from sequences, CHECK
and NOT NULL by the collections' validators, moments to the microsecond, and Django's errors for MongoDB's.
What it does not do it refuses with NotSupportedError; docs/mongodb.md has the list. Needs a replica set.
On failure: Django's database errors; see errors.py.
"""
