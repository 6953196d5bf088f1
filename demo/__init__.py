"""Runs the whole site on one machine, drives every use case over HTTP and prints the matrix.

Promises: knows no app: what it seeds, drives and prints is what the installed apps' `demo` modules
offer (see `caching.workload`). Nothing in production imports this package.
On failure: see the commands `demo` and `seed_demo`.
"""
