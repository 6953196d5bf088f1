"""Streaming import of CSV, JSON lines and GeoJSON, shared by every import command.

Promise: memory does not grow with the file (but for the ids seen, to find duplicates); each bad line
is named by number and reason, and costs no good line. An app supplies columns, a parser, an upsert.
On failure: a file that cannot be read at all is `Unreadable`; a row is `BadRow`. Imports no app.
"""
