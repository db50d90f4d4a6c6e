"""The `sources` section: what contradicts itself is refused with its place; a shared file is read in."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.training.runs import recipe
from training.config import TrainingConfig, check_recipe, load_recipe
from training.errors import RecipeError
from training.recipe_text import as_yaml
from training.release import published

RECIPES = Path(__file__).parents[3] / "training" / "recipes"
TSV = {"format": "tsv", "text": "a.txt"}
CORPUS = {"languages": ["en", "de"], "licence": "CC0", "attribution": "nobody", "train": [TSV]}


def checked(files: dict[str, Any] | None = None, **corpus: Any) -> TrainingConfig:
    raw = {"a.txt": {"url": "https://example.org/a.txt"}} if files is None else files
    return check_recipe(recipe(sources={"files": raw, "corpora": {"one": {**CORPUS, **corpus}}}))


@pytest.mark.parametrize(
    ("files", "corpus", "fault"),
    [
        ({"b.txt": {"url": "https://x.org/b"}}, {}, "corpora.one: files has no 'a.txt', which 'a.txt' needs"),
        ({"a.txt": {}}, {}, r"files\.a\.txt: name either `url` or `path`"),
        ({"a.txt": {"url": "ftp://x.org/a"}}, {}, r"files\.a\.txt\.url: .*got 'ftp:"),
        ({"a.txt": {"path": "x", "sha256": "12"}}, {}, r"files\.a\.txt\.sha256: "),
        ({"../a.txt": {"path": "x"}}, {}, r"sources\.files\.\.\./a\.txt"),
        (None, {"train": [{**TSV, "colums": [0, 1]}]}, r"did you mean columns\?"),
        (None, {"train": [{**TSV, "format": "xml"}]}, r"train\.0: .*'xml'.* does not match any"),
        (None, {"train": []}, "name `train`, or a text in `held_out`"),
        (None, {"held_out": {"train": {"parts": [TSV]}}}, "`train` is the text that is learned from"),
        (None, {"held_out": {"dev": {}}}, "name either `parts` or `choose`"),
        (
            None,
            {"held_out": {"dev": {"choose": 3, "as_published": True}}},
            "`as_published` belongs to `parts`",
        ),
        (
            None,
            {"train": [], "held_out": {"dev": {"choose": 3}}},
            "`choose` chooses among the pairs of `train`",
        ),
        (None, {"expected_pairs": {"dev": 3}}, r"expected_pairs\.dev: the corpus has no such file"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    files: dict[str, Any] | None, corpus: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RecipeError, match=fault):
        checked(files, **corpus)


def test_a_recipe_may_name_a_file_with_its_sources(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    config = checked()
    assert config.sources is not None
    (tmp_path / "shared" / "s.yaml").write_text(as_yaml(config.sources.model_dump(mode="json")))
    (tmp_path / "shared" / "local.yaml").write_text(
        "files: {a.txt: {path: ../texts/a.txt}}\ncorpora: {one: {languages: [en, de], licence: CC0, "
        "attribution: me, train: [{format: tsv, text: a.txt}]}}\n"
    )
    (tmp_path / "r.yaml").write_text(as_yaml(recipe(sources="shared/s.yaml")))
    assert load_recipe(tmp_path / "r.yaml").sources == config.sources
    local = load_recipe(tmp_path / "r.yaml", ["sources=shared/local.yaml"]).sources
    assert local is not None
    assert local.files["a.txt"].path == "texts/a.txt"


def raw(url: str) -> str:
    return f"{{a.txt: {{url: 'https://example.org/{url}'}}, b.txt: {{url: 'https://example.org/b'}}}}"


def sources_file(folder: Path, name: str, files: str, corpus: str) -> None:
    (folder / name).write_text(
        f"files: {files}\ncorpora: {{{corpus}: {{languages: [en, de], licence: CC0, attribution: me, "
        "train: [{format: tsv, text: a.txt}]}}\n"
    )


def test_a_recipe_may_name_several_files_with_its_sources(tmp_path: Path) -> None:
    sources_file(tmp_path, "one.yaml", raw("a"), "one")
    sources_file(tmp_path, "two.yaml", raw("a"), "two")
    (tmp_path / "r.yaml").write_text(as_yaml(recipe(sources=["one.yaml", "two.yaml"])))
    sources = load_recipe(tmp_path / "r.yaml").sources
    assert sources is not None
    assert (sorted(sources.files), sorted(sources.corpora)) == (["a.txt", "b.txt"], ["one", "two"])


def test_two_files_that_mean_different_raw_files_by_one_name_are_refused(tmp_path: Path) -> None:
    sources_file(tmp_path, "one.yaml", raw("a"), "one")
    sources_file(tmp_path, "two.yaml", raw("another"), "two")
    (tmp_path / "r.yaml").write_text(as_yaml(recipe(sources=["one.yaml", "two.yaml"])))
    fault = r"sources\.files\.a\.txt must be the same in one\.yaml and two\.yaml, or have two names"
    with pytest.raises(RecipeError, match=fault):
        load_recipe(tmp_path / "r.yaml")


def test_a_missing_file_of_sources_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(as_yaml(recipe(sources="s.yaml")))
    with pytest.raises(RecipeError, match=r"s\.yaml: No such file"):
        load_recipe(tmp_path / "r.yaml")


def test_a_bundle_tells_no_folder_of_one_machine() -> None:
    config = checked({"a.txt": {"path": "/home/you/a.txt"}})
    assert published(config)["sources"]["files"]["a.txt"]["path"] == "a.txt"


# Those of models that are shipped; research texts may not be, and the toy makes its own.
SHIPPED = [
    path
    for path in sorted(RECIPES.rglob("*.yaml"))
    if path.parent.name not in ("sources", "research") and path.stem != "toy"
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_that_a_shipped_recipe_reads_is_one_that_its_sources_make(path: Path) -> None:
    """Or one that a model writes, by a command at the recipe's head that reads a file of the sources."""
    config = load_recipe(path)
    assert config.sources is not None
    made = {
        f"{name}/{corpus.file(one)}"
        for name, corpus in config.sources.corpora.items()
        for one in corpus.file_names()
    }
    head = path.read_text(encoding="utf-8").partition("\nname:")[0].replace("\\\n#", " ")
    written = re.findall(r"verto data back-translate DATA/(\S+) .*--output DATA/(\S+)", head)
    assert {file for file, _ in written} <= made
    texts = (*config.data.train, *config.data.dev, *config.test)
    assert {file for text in texts for file in text.paths()} <= made | {output for _, output in written}


def test_local_raw_files_of_shipped_recipes_are_shipped_with_them_unchanged() -> None:
    for path in SHIPPED:
        sources = load_recipe(path).sources
        assert sources is not None
        for raw in (raw for raw in sources.files.values() if raw.path is not None):
            content = (path.parent / str(raw.path)).read_bytes()
            assert hashlib.sha256(content).hexdigest() == raw.sha256
