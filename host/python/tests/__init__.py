"""Tests of lemon-session-host. `make test-python` runs them against the wheel.

LEMON_TEST_REDIS names a Redis server; without it, the one on this machine is used if it runs. LEMON_SESSION_COMMAND is the
path of `lemon-session`.
"""
