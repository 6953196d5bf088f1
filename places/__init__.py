"""Places on the map: nearest, within a radius or a box, over Redis's geospatial index; see `places.nearby`.

Promises: answers are exact, by the stored coordinates and the true distance, with Redis and without.
On failure: without Redis, or while its index is being made, the database answers the same.
"""
