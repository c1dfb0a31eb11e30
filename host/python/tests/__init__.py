"""Tests of lemon-session-host. They run against the installed package:

    python -m unittest discover -s host/python -t host/python

LEMON_TEST_REDIS names a Redis server; without it, the one on this machine is used if it runs. LEMON_SESSION_COMMAND is the
path of `lemon-session`, and LEMON_TEST_PYTHON_FULL=1 fails tests that would be skipped.
"""
