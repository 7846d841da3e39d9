"""A site's own cases: from cases.csv and DICOM files to bundles that the node loads, in small."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sklearn.model_selection import StratifiedKFold

from dicomnode.cli import cli
from dicomnode.dicom.exam import ReadSettings, read_study
from dicomnode.errors import BundleError, SettingsError
from dicomnode.inference.bundle import Manifest, load
from dicomnode.inference.models import load_models, read_codebook
from dicomnode.pipeline import analyse_exam, measure
from dicomnode.recipe import Recipe
from dicomnode.report.notice import training_notice
from dicomnode.science.feature_table import FEATURES
from dicomnode.science.findings import Diagnosis, Findings
from dicomnode.science.subregions.codebook import KINDS, Codebook
from dicomnode.simulation.cohort import recipe_for
from dicomnode.simulation.exam import simulate
from dicomnode.simulation.writer import write
from dicomnode.training import measured
from dicomnode.training.changes import redrawn
from dicomnode.training.diagnosis.logistic import divided
from dicomnode.training.measured import FeatureCache
from dicomnode.training.site.codebook import check_names
from dicomnode.training.site.cohort import SiteCohort, read_cohort

MODELS = Path(__file__).resolve().parents[2] / "models"
EXAMS = 21
TINY = {"rows": 96, "columns": 112, "spacing_mm": 0.3, "frames": 112, "size_mm": 10.0}
FIRST_SEED = 9_700_000
INSTEAD = {11: 31, 18: 38}
"""Exams that stand for two in whose tiny lesions the segmenter's outline is uncertain."""


def write_table(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 tiny exams, the first and the third of one patient, and a folder without any exam."""
    root = tmp_path_factory.mktemp("cohort")
    rows = [["case", "label", "patient", "reader_a", "reader_b"]]
    for i in range(EXAMS):
        kind = "benign" if i % 2 else "malignant"
        exam = simulate(
            recipe_for(
                kind, FIRST_SEED + INSTEAD.get(i, i), preset="small", layout="mono-left", **TINY
            )
        )
        write(exam, root / "exams" / f"{i:02d}")
        scores = (str(i % 2 + 0.1 * i), "") if i else ("", "3")
        rows.append([f"exams/{i:02d}", kind, "twice" if i in (0, 2) else "", *scores])
    (root / "exams" / "notes").mkdir()
    (root / "exams" / "notes" / "readme.txt").write_text("no exam")
    rows.append(["exams/notes", "Benign", "", "", ""])
    return write_table(root / "cases.csv", rows)


def command(*words: object) -> Result:
    return CliRunner().invoke(cli, ["train", *map(str, words)], terminal_width=200)


def classifier(cohort: Path, root: Path) -> Result:
    return command(
        "classifier", "--cohort", cohort, "--models", root / "models", "--work", root / "work",
        "--repeats", 2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder with models and work, and what the command printed."""
    root = tmp_path_factory.mktemp("site")
    result = classifier(cohort, root)
    assert result.exit_code == 0, (result.output, result.exception)
    return root, result.output


@pytest.fixture(scope="module")
def manifest(trained: tuple[Path, str]) -> Manifest:
    return load(trained[0] / "models" / "classifier").manifest


def test_the_bundle_says_whose_cases_it_is_from(manifest: Manifest) -> None:
    assert manifest.trained_on == "21 cases of this site, 11 malignant"
    assert manifest.licence == "the site's own"
    (source,) = manifest.training_data
    assert source.name == "21 of the 22 cases in the site's table"
    assert "simulat" not in manifest.model_dump_json().lower()
    area = next(figure for figure in manifest.figures if figure.name == "AUC")
    assert "20 patients (1 more cases refused), no patient on both sides" in area.conditions
    assert "tighter and wider" in area.conditions


def test_the_card_claims_neither_simulation_nor_validation(trained: tuple[Path, str]) -> None:
    card = (trained[0] / "models" / "classifier" / "card.md").read_text()
    assert "Nothing here is clinically validated" in card
    assert "simulat" not in card.lower()


def test_readers_stand_beside_the_model_on_the_cases_they_read(manifest: Manifest) -> None:
    figures = {figure.name: figure for figure in manifest.figures}
    assert figures["AUC of reader_a"].conditions.startswith("20 cases of this site that reader_a")
    ours = figures["AUC of the model on reader_a's"]
    assert ours.conditions == figures["AUC of reader_a"].conditions
    reader = figures["AUC of reader_a"]
    assert reader.low <= reader.value <= reader.high
    assert not any("reader_b" in name for name in figures)  # scored one case


def test_the_bundle_comes_with_a_page_on_its_training(trained: tuple[Path, str]) -> None:
    with Image.open(trained[0] / "models" / "classifier" / "report.png") as page:
        assert page.size == (1400, 1800)
        assert len(page.getcolors(1 << 22) or []) > 100


def test_refused_exams_are_listed_with_their_reasons(
    trained: tuple[Path, str], manifest: Manifest
) -> None:
    assert "refused, not learnt from: 1" in trained[1]
    assert "exams/notes: not-dicom" in trained[1]
    refused = next(figure for figure in manifest.figures if figure.name.startswith("refused"))
    assert (refused.name, refused.value) == ("refused: not-dicom", 1)


def test_the_node_uses_it_and_still_calls_the_others_simulated(
    trained: tuple[Path, str], cohort: Path
) -> None:
    models = load_models(trained[0] / "models")
    files = sorted((cohort.parent / "exams" / "04").iterdir())
    (exam,) = read_study(files, ReadSettings()).exams
    findings = analyse_exam(exam, models, Recipe()).findings
    assert findings is not None
    assert findings.diagnosis.coverage == 0.9
    assert findings.models[2].trained_on == "21 cases of this site, 11 malignant"
    assert training_notice(findings) == (
        "simulated training data: segmenter, codebook; not validated"
    )
    ours = tuple(replace(use, trained_on="40 cases of this site") for use in findings.models)
    assert training_notice(replace(findings, models=ours)) == ""


def test_an_interrupted_run_measures_nothing_twice(
    trained: tuple[Path, str], cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = trained
    (notes,) = (root / "work" / "classifier").glob("measured-*.jsonl")
    with notes.open("a") as file:
        file.write('["torn by a power c')
    before = (root / "models" / "classifier" / "manifest.toml").read_bytes()
    monkeypatch.setattr(measured, "measure", None)
    result = classifier(cohort, root)
    assert result.exit_code == 0, (result.output, result.exception)
    assert (root / "models" / "classifier" / "manifest.toml").read_bytes() == before
    assert len([json.loads(line) for line in notes.read_text().splitlines()]) == EXAMS + 1 + 2 * 4


def test_changed_files_are_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = simulate(recipe_for("benign", FIRST_SEED + 99, preset="small", **TINY))
    (path,) = write(exam, tmp_path / "one")
    write_table(tmp_path / "cases.csv", [["case", "label"], ["one", ""]])
    calls: list[int] = []

    def noted(*_: object) -> SimpleNamespace:
        calls.append(1)
        features = {feature.name: float(len(calls)) for feature in FEATURES}
        return SimpleNamespace(features=features, diagnosis=Diagnosis.withheld())

    def first_feature() -> float:
        cache = FeatureCache(tmp_path / "work", MODELS)
        return float(cache.table(unlabelled(tmp_path / "cases.csv").cases).features[0, 0])

    monkeypatch.setattr(measured, "measure", noted)
    assert [first_feature(), first_feature()] == [1, 1]
    path.write_bytes(path.read_bytes().replace(b"SIMULATED CEUS", b"SIMULATED CEUs"))
    assert first_feature() == len(calls) == 2
    other = FeatureCache(tmp_path / "work", MODELS, Recipe(dynamic_range_db=45))
    other.table(unlabelled(tmp_path / "cases.csv").cases)
    assert len(calls) == 3


def unlabelled(path: Path) -> SiteCohort:
    return read_cohort(path, labelled=False, settings=ReadSettings())


def labelled(path: Path) -> SiteCohort:
    return read_cohort(path, labelled=True, settings=ReadSettings())


def folders(root: Path, count: int) -> list[list[str]]:
    """Lines of a table whose folders each hold a file of their own."""
    for i in range(count):
        (root / f"c{i}").mkdir(parents=True)
        (root / f"c{i}" / "a.dcm").write_text(f"{i}")
    return [[f"c{i}", "benign" if i % 2 else "malignant"] for i in range(count)]


def test_every_line_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    good = folders(tmp_path, 6)
    (tmp_path / "empty").mkdir()
    (tmp_path / "c5" / "inner").mkdir()
    (tmp_path / "c5" / "inner" / "b.dcm").write_text("b")
    table = write_table(
        tmp_path / "cases.csv",
        [
            ["case", "label", "reader_a"],
            [*good[0], "0.5"],
            ["c1", "maligne", "1"],
            ["c2", "", ""],
            ["nowhere", "benign", "high"],
            [],
            ["", "benign", "nan"],
            ["empty", "benign", ""],
            ["./c0", "malignant", ""],
            ["c3", "benign"],
            ["c4", "benign", "1", "2"],
            ["c5", "benign", ""],
            ["c5/inner", "benign", ""],
        ],
    )
    with pytest.raises(SettingsError) as error:
        labelled(table)
    assert str(error.value).splitlines() == [
        f"{table}: expected lines that can be used, found 11 faults:",
        "  line 3: label: expected benign or malignant, got 'maligne'",
        "  line 4: label: expected benign or malignant, got nothing",
        "  line 5: case: expected a folder beside the table, got 'nowhere', which is none",
        "  line 5: reader_a: expected a number or nothing, got 'high'",
        "  line 7: case: expected a folder, got nothing",
        "  line 7: reader_a: expected a number or nothing, got 'nan'",
        "  line 8: case: expected DICOM files in 'empty', it is empty",
        "  line 9: case: expected each once, got './c0' as in line 2",
        "  line 10: expected 3 cells as in the header, got 2",
        "  line 11: expected 3 cells as in the header, got 4",
        "  line 13: case: expected folders apart, got 'c5/inner' in that of line 12",
    ]


@pytest.mark.parametrize(
    "header", [["case"], ["case", "label", "patients"], ["case;label"], ["case", "label", "label"]]
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, header: list[str]) -> None:
    table = write_table(tmp_path / "cases.csv", [header, *folders(tmp_path, 1)])
    with pytest.raises(SettingsError, match="expected a header with the columns case and label"):
        labelled(table)


def test_too_few_patients_of_a_kind_are_refused(tmp_path: Path) -> None:
    rows = [[*row, "p1" if row[1] == "benign" else ""] for row in folders(tmp_path, 24)]
    table = write_table(tmp_path / "cases.csv", [["case", "label", "patient"], *rows])
    told = "at least 10 patients of either kind for the folds, got 1 benign and 12 malignant"
    with pytest.raises(SettingsError, match=told):
        labelled(table)


def test_the_same_files_in_two_folders_are_refused(tmp_path: Path) -> None:
    rows = folders(tmp_path, 24)
    (tmp_path / "c7" / "a.dcm").write_text("3")
    table = write_table(tmp_path / "cases.csv", [["case", "label"], *rows])
    with pytest.raises(SettingsError, match="line 9: 'c7' holds the files of line 5"):
        labelled(table)


def test_a_table_that_is_no_text_or_has_no_cases_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_bytes("case,label\nü,benign\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="expected a table in UTF-8"):
        labelled(table)
    table.write_text("\ufeffcase,label\n\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="expected a line for each case"):
        labelled(table)


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "cases.csv", [["case", "label"]])
    both = command("classifier", "--cohort", table, "--exams", 20)
    assert both.exit_code == 2
    assert "--exams: expected without --cohort" in both.output
    few = command("codebook", "--few")
    assert few.exit_code == 2
    assert "--few: expected --cohort" in few.output


def test_no_patient_is_on_both_sides_of_a_fold() -> None:
    owners = np.repeat(np.arange(30), 2)
    is_malignant = np.repeat(np.arange(30) % 2 == 0, 2)
    folds = divided(is_malignant, owners, 1)
    assert sorted(np.concatenate([out for _, out in folds])) == list(range(60))
    for learn, held_out in folds:
        assert not set(owners[learn]) & set(owners[held_out])
        assert 0 < is_malignant[held_out].sum() < len(held_out)


def test_patients_of_one_exam_each_are_divided_as_ever() -> None:
    is_malignant = np.arange(40) % 2 == 0
    expected = StratifiedKFold(5, shuffle=True, random_state=1).split(is_malignant, is_malignant)
    for ours, theirs in zip(divided(is_malignant, np.arange(40), 1), expected, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True))


def test_an_outline_moves_by_half_a_millimetre() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10:30, 10:50] = True
    wide, tight = (redrawn(mask, (0.25, 0.5), by_mm) for by_mm in (0.5, -0.5))
    assert wide[20].sum() == 42
    assert wide[:, 30].sum() == 24
    assert tight[20].sum() == 38
    assert tight[:, 30].sum() == 16


def test_a_sites_codebook_needs_patients_or_a_word(cohort: Path, tmp_path: Path) -> None:
    result = command("codebook", "--cohort", cohort, "--models", tmp_path / "m")
    assert isinstance(result.exception, SettingsError)
    assert "at least 80 patients for a codebook that holds, got 21; --few" in str(result.exception)


def test_a_sites_codebook_names_its_kinds_and_goes_on(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[f"exams/{i:02d}", ""] for i in range(10)]
    table = write_table(cohort.parent / "few.csv", [["case", "label"], *rows])
    words = "codebook", "--cohort", table, "--few", "--models", tmp_path, "--work", tmp_path / "w"
    result = command(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    bundle = load(tmp_path / "codebook")
    codebook = read_codebook(bundle)
    assert set(codebook.kinds) == set(KINDS)
    assert codebook.patients == 10
    assert bundle.manifest.trained_on == "10 cases of this site, 10 patients, unlabelled"
    figures = {figure.name: figure for figure in bundle.manifest.figures}
    assert "fewer than the 80" in figures["share of pixels of the same kind as before"].conditions
    assert figures["share of pixels of the same kind as before"].value > 0.7
    monkeypatch.setattr("dicomnode.training.site.codebook.measure", None)
    assert command(*words).exit_code == 0


def test_a_sites_codebook_learns_nothing_from_outlines_that_are_uncertain(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubtful(*how: Any) -> Findings:
        found = measure(*how)
        checks = tuple(
            replace(check, passed=check.name != "outline") for check in found.quality.checks
        )
        return replace(found, quality=replace(found.quality, checks=checks))

    monkeypatch.setattr("dicomnode.training.site.codebook.measure", doubtful)
    rows = [[f"exams/{i:02d}", ""] for i in range(6)]
    table = write_table(cohort.parent / "doubtful.csv", [["case", "label"], *rows])
    words = "codebook", "--cohort", table, "--few", "--models", tmp_path, "--work", tmp_path / "w"
    result = command(*words)
    assert isinstance(result.exception, BundleError)
    assert "after 6 refusals" in str(result.exception)


def shipped_with(number: int, **axes: float) -> Codebook:
    codebook = read_codebook(load(MODELS / "codebook"))
    means = codebook.means.copy()
    for axis, value in axes.items():
        means[number, ("pe", "delay", "fall", "rise").index(axis)] = value
    return replace(codebook, means=means)


def test_the_shipped_codebook_bears_its_names() -> None:
    check_names(read_codebook(load(MODELS / "codebook")))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (shipped_with(0, pe=-0.6), "non-perfused: expected .* below -1.2, got -0.60"),
        (shipped_with(1, pe=-2.0), "slow low: expected .* above -1.2, got -2.00"),
        (shipped_with(2, rise=0.15), "intermediate: expected a shorter rise than slow low"),
        (shipped_with(3, rise=-0.1), "fast in slow out: expected a shorter rise than interm"),
        (shipped_with(4, fall=-0.3), "fast in fast out: expected a shorter fall than fast in slow"),
    ],
)
def test_clusters_that_do_not_bear_their_names_are_refused(changed: Codebook, told: str) -> None:
    with pytest.raises(BundleError, match=told):
        check_names(changed)
