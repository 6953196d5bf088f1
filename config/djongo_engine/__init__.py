"""A database engine for Django on djongo-certego, a fork of djongo (AGPL-3.0): MongoDB for simple models.

djongo translates SQL text, and gets negations, F() and search text wrong. Here queries are compiled from
Django's own query tree to aggregation pipelines, by SQL's logic of three values. What is not understood
is refused with NotSupportedError; nothing is answered wrongly in silence. Needs a replica set.
On failure: Django's database errors; see config/mongodb_engine/errors.py.
"""
