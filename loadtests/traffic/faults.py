"""What is wrong with what a user asked of a load test, told in one line with the next step."""

from __future__ import annotations


class LoadTestError(Exception):
    """Wrong options, a server that cannot be tested, a file that is no result; says what to do instead."""
