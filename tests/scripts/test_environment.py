"""The environment is made when it is missing or what it should hold has changed, and is never half made."""

import re
from pathlib import Path

from tests.scripts.conftest import Checkout


def locks_installed(checkout: Checkout) -> list[str]:
    """The lock files that were installed since the last look."""
    return re.findall(r"--requirement (\S+)", "\n".join(checkout.installs()))


def test_a_fresh_checkout_gets_an_environment_the_lock_and_the_project(checkout: Checkout) -> None:
    assert "ran: -m pytest" in checkout.make("test").stdout
    created, lock, project = checkout.installs()
    assert created == "venv"
    assert lock.endswith("--requirement requirements-dev.lock")
    assert project.endswith("--no-deps --no-build-isolation --editable .")
    assert checkout.stamps() == ["dev"]


def test_a_finished_environment_is_left_alone(checkout: Checkout) -> None:
    checkout.make("test")
    checkout.installs()
    checkout.make("test")
    assert checkout.installs() == []


def test_an_interrupted_installation_is_done_again(checkout: Checkout) -> None:
    failure = checkout.pretender / "pip-fails"
    failure.touch()
    assert checkout.make("test", check=False).returncode != 0
    assert checkout.stamps() == []
    failure.unlink()
    checkout.installs()
    checkout.make("test")
    assert locks_installed(checkout) == ["requirements-dev.lock"]
    assert checkout.stamps() == ["dev"]


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    checkout.make("test")
    checkout.installs()
    with (checkout.folder / "requirements-dev.lock").open("a", encoding="utf-8") as lock:
        lock.write("\n")
    checkout.make("test")
    assert locks_installed(checkout) == ["requirements-dev.lock"]
    assert checkout.stamps() == ["dev"]


def test_a_changed_pyproject_is_installed(checkout: Checkout) -> None:
    checkout.make("test")
    checkout.installs()
    with (checkout.folder / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n")
    checkout.make("test")
    assert locks_installed(checkout) == ["requirements-dev.lock"]


def test_a_moved_checkout_is_installed_anew(checkout: Checkout, tmp_path: Path) -> None:
    checkout.make("test")
    checkout.installs()
    moved = Checkout(checkout.folder.rename(tmp_path / "moved"), checkout.pretender)
    moved.make("test")
    assert locks_installed(moved) == ["requirements-dev.lock"]


def test_an_environment_whose_python_is_gone_is_created_again(checkout: Checkout) -> None:
    checkout.make("test")
    (checkout.folder / ".venv" / "bin" / "python").unlink()
    for stamp in checkout.folder.glob(".venv/.installed-*"):
        stamp.unlink()
    checkout.installs()
    checkout.make("test")
    assert checkout.installs()[0] == "venv"


def test_an_old_python_is_refused_by_name(checkout: Checkout) -> None:
    (checkout.pretender / "too-old").touch()
    refused = checkout.make("test", check=False)
    assert refused.returncode != 0
    assert f"needs Python 3.11 or 3.12; not found as: {checkout.pretender / 'python'}" in refused.stderr
    assert not (checkout.folder / ".venv").exists()


def test_serving_installs_no_development_tools(checkout: Checkout) -> None:
    checkout.make("serve", check=False)  # the pretended installation brings no `verto` command
    assert locks_installed(checkout) == ["requirements.lock"]
    assert checkout.stamps() == ["runtime"]


def test_serving_uses_a_development_environment_that_is_there(checkout: Checkout) -> None:
    checkout.make("test")
    checkout.installs()
    checkout.make("serve", check=False)
    assert checkout.installs() == []
    assert checkout.stamps() == ["dev"]


def test_testing_after_serving_installs_the_tools(checkout: Checkout) -> None:
    checkout.make("serve", check=False)
    checkout.installs()
    checkout.make("test")
    assert locks_installed(checkout) == ["requirements-dev.lock"]
    assert checkout.stamps() == ["dev"]
