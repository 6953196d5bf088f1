"""The use cases of accounts in the demo: sessions, and rate limits."""

from accounts import demo_limits, demo_sessions

DEMOS = (demo_sessions, demo_limits)
