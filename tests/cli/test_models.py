"""`verto models` lists bundles and says which are broken."""

import io
import json
import sys
from pathlib import Path

import pytest

from cli import main as shell
from tests.builders import tiny_bundle, tiny_info


def list_models(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["verto", "models", "--models-dir", str(folder), *options])
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as ended:
        shell.main()
    return int(ended.value.code or 0)


def test_bundles_are_listed_with_what_they_translate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle(tmp_path / "one", info=tiny_info(name="both-ways", directions=(("en", "de"), ("de", "en"))))
    assert list_models(monkeypatch, tmp_path) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "both-ways" in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:3] == ["both-ways", "1", "en → de, de → en"]
    assert cells[3].endswith(" MB")
    assert cells[4:] == ["yes", str(tmp_path / "one")]


def test_a_broken_bundle_is_listed_with_its_fault_beside_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle(tmp_path / "whole")
    tiny_bundle(tmp_path / "broken")
    (tmp_path / "broken" / "MODEL_CARD.md").write_text("changed")
    assert list_models(monkeypatch, tmp_path) == 1
    printed = capsys.readouterr().out
    assert "yes" in printed
    assert f"{tmp_path / 'broken' / 'MODEL_CARD.md'}: " in printed


def test_a_program_reads_them_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    tiny_bundle(whole, info=tiny_info(name="both-ways", directions=(("en", "de"), ("de", "en"))))
    tiny_bundle(broken)
    (broken / "MODEL_CARD.md").write_text("changed")
    assert list_models(monkeypatch, tmp_path, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    by_folder = {one.pop("folder"): one for one in told}
    fault = by_folder[str(broken)].pop("fault")
    assert fault.startswith(f"{broken / 'MODEL_CARD.md'}: ")
    assert by_folder[str(broken)] == {"verified": False}
    assert by_folder[str(whole)].pop("bytes") > 0
    expected = {"name": "both-ways", "version": "1", "directions": [["en", "de"], ["de", "en"]]}
    assert by_folder[str(whole)] == {**expected, "verified": True}


def test_an_encoding_without_arrows_is_no_end_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_bundle(tmp_path / "one")
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1"))
    assert list_models(monkeypatch, tmp_path) == 0
    assert b"| en \\u2192 de" in printed.getvalue()


def test_an_empty_folder_is_said_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list_models(monkeypatch, tmp_path) == 2
    assert f"{tmp_path}: no bundle found" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    for name, fault in {
        "missing": "no such folder",
        "file": "is a file; a folder of bundles is needed",
    }.items():
        assert list_models(monkeypatch, tmp_path / name) == 2
        assert f"{tmp_path / name}: {fault}; train one" in capsys.readouterr().err
