"""What can be wrong with a run, in words for the person who started it.

    TrainingError
    ├── RecipeError       the recipe or an override: unknown setting, value out of bounds, device not there
    ├── SourceError       raw data: cannot be fetched, another checksum, no room, not in the form that is said
    ├── CorpusError       a data file: missing, unreadable, not in the form that the recipe says
    ├── ResumeError       the run folder: damaged state, another run's state, in use
    ├── GroupError        of several processes another one has ended
    └── TrainingDiverged  loss or gradient are no longer numbers, weights too large for a bundle

Knows: names. Must not know: who raises them, exit codes.
"""

from __future__ import annotations


class TrainingError(Exception):
    """A fault of the input or of the machine, not of the program; the message is one line for the user."""


class RecipeError(TrainingError, ValueError):
    """The recipe is missing, not YAML, or holds an unknown setting or a value out of bounds."""


class SourceError(TrainingError, RuntimeError):
    """A raw file cannot be had, is not the one that the recipe was written for, or cannot be read."""


class CorpusError(TrainingError, ValueError):
    """A corpus file is missing, unreadable, or not in the form that the recipe says."""


class ResumeError(TrainingError, RuntimeError):
    """A run folder's state cannot be read, belongs to another run, or is in use by another process."""


class OtherRunError(ResumeError):
    """A run folder's state is of a run with other settings that must not change."""


class GroupError(TrainingError, RuntimeError):
    """Another process of the run has ended, and nothing more can be computed together."""


class TrainingDiverged(TrainingError, RuntimeError):
    """The loss or the gradient is no longer a finite number, and the last saved state is sound; or a weight
    is too large to be stored in a bundle."""
