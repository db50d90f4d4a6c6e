"""How to plant a mistake into good manifests: which object of which rendering to break, and how.

Knows how to break things, in the rendered objects, wherever an engineer may have made the mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.deploy.rendering import Manifest, render

Edit = Callable[[Any], object]

POD = "spec.template.spec."
SERVER = POD + "containers.0."


@dataclass(frozen=True, slots=True)
class Mistake:
    """What to break in the first object of a kind, on which rendering, and words of what is then found."""

    name: str
    kind: str
    edit: Edit
    component: str = ""
    says: str = ""
    overlay: str = "cpu"

    def planted(self) -> list[Manifest]:
        """The objects with the mistake in them."""
        objects = render(self.overlay, *filter(None, [self.component]))
        chosen = [one for one in objects if one["kind"] == self.kind]
        assert chosen, f"no {self.kind} to break"
        self.edit(chosen[0])
        return objects


def deployment(name: str, edit: Edit, component: str = "", says: str = "", overlay: str = "cpu") -> Mistake:
    """A mistake in the Deployment."""
    return Mistake(name, "Deployment", edit, component, says, overlay)


def setting(name: str, variable: str, value: str, says: str = "") -> Mistake:
    """A variable of the ConfigMap with another value."""
    return Mistake(name, "ConfigMap", lambda config: config["data"].update({variable: value}), says=says)


def annotation(name: str, key: str, value: str) -> Mistake:
    """An annotation of ingress-nginx with another value."""
    full = f"nginx.ingress.kubernetes.io/{key}"
    return Mistake(
        name, "Ingress", lambda one: one["metadata"]["annotations"].update({full: value}), "ingress", key
    )


def at(path: str, value: Any) -> Edit:
    """Sets the value at a path like `spec.template.spec.containers.0.image`."""

    def edit(thing: Any) -> None:
        owner, key = _place(thing, path)
        owner[key] = value

    return edit


def without(path: str) -> Edit:
    """Removes what is at a path."""

    def edit(thing: Any) -> None:
        owner, key = _place(thing, path)
        del owner[key]

    return edit


def misspelt(path: str, name: str) -> Edit:
    """Gives the field at a path another name."""

    def edit(thing: Any) -> None:
        owner, key = _place(thing, path)
        owner[name] = owner.pop(key)

    return edit


def both(first: Edit, second: Edit) -> Edit:
    """One edit after the other."""
    return lambda thing: (first(thing), second(thing))


def _place(thing: Any, path: str) -> tuple[Any, Any]:
    """What holds the value at a path, and its key there."""
    *way, last = path.split(".")
    for step in way:
        thing = thing[int(step) if isinstance(thing, list) else step]
    return thing, int(last) if isinstance(thing, list) else last
