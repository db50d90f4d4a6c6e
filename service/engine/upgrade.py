"""A faster network in the making, while another one decodes: in a thread that ends with it, or without.

Knows: threads. Must not know: engines, networks, how one is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from model.native.library import NativeUnavailable
from model.network import Network

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2  # between looks at whether it is there, while there is nothing else to do


class Upgrade:
    """Begins at once. `take` is for one thread, whichever that is."""

    def __init__(self, make: Callable[[], Network]) -> None:
        self._make = make
        self._made: Network | None = None
        self._thread = threading.Thread(target=self._run, name="verto-kernels", daemon=True)
        self._thread.start()

    @property
    def is_pending(self) -> bool:
        """Whether there is, or may still be, something to take."""
        return self._thread.is_alive() or self._made is not None

    def take(self) -> Network | None:
        """The network once it is there, and only once."""
        made, self._made = self._made, None
        return made

    def _run(self) -> None:
        try:
            self._made = self._make()
        except NativeUnavailable as error:
            logger.warning("the native kernels are not there; going on without them: %s", error)
        except Exception:
            logger.exception("the native network could not be made; going on without it")
