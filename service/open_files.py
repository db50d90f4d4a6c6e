"""How many connections this process may hold: each is an open file, and systems often start with few.

Knows the operating system's limit; must not know settings or HTTP.
"""

import contextlib

# Enough for every request that a full queue can hold; a system without any limit gets this one.
MOST_OPEN_FILES = 65_536


def allow_many_open_files() -> int | None:
    """Raise this process's limit as far as it may itself; the limit then, None where there is no such thing.

    Without room for one more file a server cannot even refuse: it stops accepting connections for a second.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems have a lower limit than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
