"""Whether a device that failed can still compute: after some faults of a GPU nothing can, in that process.

Knows: emissions, devices. Must not know: pipes, threads, who starts an engine anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from model.devices import is_lost
from service.engine.errors import StepFailed
from service.engine.request import Emission, FailedEvent

logger = logging.getLogger(__name__)


def lost_with(emissions: Sequence[Emission], device: torch.device) -> bool:
    """Asks the device only where a step on it has just failed; says so when it is lost."""
    ends = [one.event for one in emissions if isinstance(one.event, FailedEvent)]
    if not any(isinstance(end.error, StepFailed) for end in ends) or not is_lost(device):
        return False
    logger.critical("the device is lost to this process, which ends", extra={"device": str(device)})
    return True
