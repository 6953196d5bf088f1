"""Django's own tests of session backends, for ours: `test_django_suite.py` runs them with Django's runner.

Promises tested: all of Django's `SessionTestsMixin`, none left out; once inside of transactions, where
sessions live in the table alone, and once outside, where Redis takes part. On failure: Django's messages.
"""

from django.test import TestCase, TransactionTestCase
from sessions_tests.tests import SessionTestsMixin

from accounts.sessions import SessionStore


class InTransactions(SessionTestsMixin, TestCase):  # type: ignore[misc]
    backend = SessionStore


class OutsideOfTransactions(SessionTestsMixin, TransactionTestCase):  # type: ignore[misc]
    backend = SessionStore
