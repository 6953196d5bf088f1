"""The same product over HTTP as other sites would answer it: one small settings module a peer.

Promises: all read the database and the Valkey of the HEADWATER_HOME they start in, and answer
/api/v1/products/<id>/ with the same JSON; beyond that each has what its libraries set up by default.
On failure: as Django does, with a traceback in the server's log.
"""
