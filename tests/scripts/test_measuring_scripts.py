"""Scripts that measure a bundle say what they need, rather than fall over it."""

import runpy

import pytest

from tests.scripts.conftest import ROOT


@pytest.fixture(params=["draft_lag", "alignment_agreement"])
def script(request: pytest.FixtureRequest) -> str:
    return str(ROOT / "scripts" / f"{request.param}.py")


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2), (["bundle", "test", "many"], 2)])
def test_wrong_arguments_are_answered_with_the_right_ones(
    script: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script)["main"](arguments)
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert "bundle test [sentences]" in " ".join((printed.out + printed.err).split())
