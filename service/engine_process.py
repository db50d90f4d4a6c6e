"""The main function of an engine's process. Arguments: parent's pid, file descriptor, log format, level.

Knows: how to end with the parent, where the log goes. Must not know: what is asked of the engine. What is
slow to import is imported once the process is tied to its parent.
"""

import os
import sys
from multiprocessing.connection import Connection


def main() -> None:
    """Serve one engine until its parent is gone."""
    from service.engine.parent_death import end_with_parent

    parent_pid, descriptor, log_format, log_level = sys.argv[1:]
    end_with_parent(int(parent_pid))
    from service.engine.worker import work
    from service.log import configure_logging

    configure_logging(log_format, log_level)
    os.set_inheritable(int(descriptor), False)  # a process of this one's would keep the pipe from ending
    with Connection(int(descriptor)) as connection:
        work(connection)
