"""Side by side with the libraries people use today: `python -m benchmarks [name...] [--quick] [--write]`.

Promises: all peers of a table do the same work in one run on one machine, with the same value, key and
server, in short turns (A B C A B C ...), so that a slow moment hits all of them alike. Everything
runs in a temporary home with its own embedded Valkey, and leaves nothing behind.
On failure: a peer that answers anything but the value stops the run with exit 1; a figure that misses
its target is printed as missed and stops nothing.
"""
