"""Which bundle and which direction of it a command means: by path, by name, or by the languages.

Knows bundles' descriptions; reads no weights, so that a wrong language is told at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.bundle_config import CONFIG_FILE, parse_config
from model.bundle_head import list_bundles, why_no_bundle
from model.manifest import BundleError, read_bytes
from service.language_codes import match

MAX_LISTED = 50  # directions in an error


@dataclass(frozen=True, slots=True)
class Choice:
    """A bundle and one of its directions, the codes as the bundle writes them."""

    folder: Path
    name: str
    version: str
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target} ({self.name})"


def choose(models_dir: Path, model: str | None, source: str | None, target: str | None) -> Choice:
    """The bundle that translates from `source` to `target`; of several the first by its folder's name.

    `model` is a bundle's folder, or the name of one in `models_dir`; None leaves it open, and so does None
    for a language. Raises BundleError, which lists what there is, also when what was left open is not decided
    by that.
    """
    place, offered = _offered(models_dir, model)
    fitting = _fitting(offered, source, target)
    if not fitting:
        wanted = f"{source or 'any language'} to {target or 'any other'}"
        raise BundleError(place, f"no model translates {wanted}; there is {_listed(offered)}")
    if len({(one.source, one.target) for one in fitting}) > 1:
        raise BundleError(place, f"--source and --target are needed to choose from {_listed(fitting)}")
    return fitting[0]


def bundle_folder(models_dir: Path, model: str) -> Path:
    """The folder of the bundle that is called so: a path, or a name in `models_dir`. Raises BundleError."""
    _, offered = _offered(models_dir, model)
    return offered[0].folder


def _offered(models_dir: Path, model: str | None) -> tuple[Path, list[Choice]]:
    """Every direction that may be meant, and the folder to name when none fits."""
    if model is not None and (Path(model) / CONFIG_FILE).is_file():
        return Path(model), _choices(Path(model))
    if model is not None and Path(model).name != model:  # no model is called so
        place = Path(model)
        raise BundleError(place, f"no bundle: no {CONFIG_FILE} in it" if place.exists() else "no such folder")
    offered, broken = _readable(list_bundles(models_dir))
    named = [choice for choice in offered if model in (None, choice.name, choice.folder.name)]
    if named:
        return models_dir, named
    # Beside a whole bundle a broken one is no hindrance, but where nothing else fits it is the answer.
    for fault in broken:
        if model in (None, fault.path.parent.name):
            raise fault
    if not offered:
        raise BundleError(models_dir, f"{why_no_bundle(models_dir)}; name another with --models-dir")
    raise BundleError(models_dir, f"no model is called {model!r}; there is {_listed(offered)}")


def _readable(folders: Sequence[Path]) -> tuple[list[Choice], list[BundleError]]:
    """What can be read, and why the rest cannot; a fault's path is a file of the bundle."""
    offered: list[Choice] = []
    broken: list[BundleError] = []
    for folder in folders:
        try:
            offered += _choices(folder)
        except BundleError as fault:
            broken.append(fault)
    return offered, broken


def _choices(folder: Path) -> list[Choice]:
    path = folder / CONFIG_FILE
    info, _ = parse_config(path, read_bytes(path))
    return [Choice(folder, info.name, info.version, *direction) for direction in info.directions]


def _fitting(offered: Sequence[Choice], source: str | None, target: str | None) -> list[Choice]:
    sources = _meant(source, [choice.source for choice in offered])
    targets = _meant(target, [choice.target for choice in offered])
    return [choice for choice in offered if choice.source in sources and choice.target in targets]


def _meant(wanted: str | None, offered: Sequence[str]) -> set[str]:
    """The offered codes that `wanted` means: all of them, one, or none."""
    if wanted is None:
        return set(offered)
    code = match(wanted, offered)
    return set() if code is None else {code}


def _listed(choices: Sequence[Choice]) -> str:
    more = f" and {len(choices) - MAX_LISTED:,} more" if len(choices) > MAX_LISTED else ""
    return ", ".join(map(str, choices[:MAX_LISTED])) + more
