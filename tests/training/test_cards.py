"""An evaluation's figures on the cards of the bundles, and from there in every report."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dicomnode.cli import evaluate as command
from dicomnode.config import default_models_dir
from dicomnode.errors import BundleError
from dicomnode.inference.bundle import load
from dicomnode.inference.models import BUNDLES, load_models
from dicomnode.training.evaluation import bundles
from dicomnode.training.evaluation.bundles import Evaluation, EvaluationSettings, assembled
from dicomnode.training.evaluation.cards import may_be_recorded, record
from dicomnode.training.evaluation.outcomes import Outcome
from parts.outcomes import by_name, outcomes


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_models_dir(), tmp_path / "models"))


@pytest.fixture
def found(models: Path) -> Evaluation:
    return assembled(load_models(models).uses, "held-out", outcomes())


def test_each_bundle_gets_the_figures_of_its_task(found: Evaluation, models: Path) -> None:
    before = load_models(models)
    cards = record(found, models)
    assert [path.parent.name for path in cards] == list(BUNDLES)
    recorded = {
        figure.name: (name, figure)
        for name in BUNDLES
        for figure in load(models / name).manifest.evaluated["held-out"]
    }
    scores = by_name(found.figures)
    assert set(recorded) == set(scores)
    owner = {name: recorded[name][0] for name in scores}
    assert owner["mean lesion Dice"] == "segmenter"
    assert owner["mean sub-region adjusted Rand index"] == "codebook"
    assert owner["AUC"] == owner["share indeterminate"] == "classifier"
    _, area = recorded["AUC"]
    assert area.value == pytest.approx(scores["AUC"].value, abs=1e-6)
    assert area.count == scores["AUC"].count
    assert (area.low, area.high) == pytest.approx((scores["AUC"].low, scores["AUC"].high), abs=1e-6)
    after = load_models(models)
    assert [use.sha256 for use in after.uses] == [use.sha256 for use in before.uses]


def test_conditions_name_the_cohort_and_the_bundles_before(found: Evaluation, models: Path) -> None:
    record(found, models)
    segmenter, codebook, classifier = (load(models / name) for name in BUNDLES)
    (alone,) = {figure.conditions for figure in segmenter.manifest.evaluated["held-out"]}
    (both,) = {figure.conditions for figure in classifier.manifest.evaluated["held-out"]}
    assert alone == found.conditions
    assert both == (
        f"{found.conditions}, measured with segmenter {segmenter.version} "
        f"({segmenter.sha256[:8]}) and codebook {codebook.version} ({codebook.sha256[:8]})"
    )


def test_card_and_result_say_what_was_recorded(found: Evaluation, models: Path) -> None:
    record(found, models)
    area = by_name(found.figures)["AUC"]
    card = (models / "classifier" / "card.md").read_text()
    _, _, ours = card.partition(f"Obtained on: {found.conditions}")
    interval = f"{area.low:.3f} to {area.high:.3f}"
    assert f"| AUC | {round(area.value, 4):g} | {interval} | {area.count} |" in ours
    said = load_models(models).classifier.use.figures
    assert any(f"AUC {area.value:.3f} (95 %" in each and found.conditions in each for each in said)


def test_a_cohort_takes_the_place_of_its_own_figures_only(found: Evaluation, models: Path) -> None:
    record(found, models)
    uses = load_models(models).uses
    record(assembled(uses, "shifted", outcomes(seed=1)), models)
    uses = load_models(models).uses
    again = assembled(uses, "held-out", outcomes(seed=2, count=30))
    record(again, models)
    evaluated = load(models / "classifier").manifest.evaluated
    assert set(evaluated) == {"held-out", "shifted"}
    assert all(figure.conditions.startswith("30 ") for figure in evaluated["held-out"])


def test_figures_of_a_bundle_that_changed_meanwhile_are_not_recorded(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = models / "codebook" / "manifest.toml"

    def while_it_changes(*_: object) -> list[tuple[Outcome, ...]]:
        manifest.write_text(manifest.read_text().replace('version = "', 'version = "1', 1))
        return [(outcome,) for outcome in outcomes()]

    monkeypatch.setattr(bundles, "analyse_all", while_it_changes)
    found = bundles.evaluate_bundles(EvaluationSettings(models=models, exams=40))
    before = (models / "segmenter" / "card.md").read_bytes()
    with pytest.raises(BundleError, match=r"codebook .* that was evaluated"):
        record(found, models)
    assert (models / "segmenter" / "card.md").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_found_before_the_evaluation(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path.name != "codebook")
    with pytest.raises(BundleError, match=r"to write into .*codebook"):
        may_be_recorded(models)


def test_the_command_records_where_it_is_asked_to(
    found: Evaluation, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "evaluate_bundles", lambda settings: found)
    before = (models / "classifier" / "manifest.toml").read_bytes()
    quiet = CliRunner().invoke(command.evaluate, ["--models", str(models)])
    assert quiet.exit_code == 0, quiet.output
    assert (models / "classifier" / "manifest.toml").read_bytes() == before
    asked = ["--models", str(models), "--record", "--exams"]
    few = CliRunner().invoke(command.evaluate, [*asked, "20"])
    assert few.exit_code == 2
    assert "expected --exams of 300 or more" in few.output
    assert (models / "classifier" / "manifest.toml").read_bytes() == before
    told = CliRunner().invoke(command.evaluate, [*asked, "300"])
    assert told.exit_code == 0, told.output
    assert f"written: {models / 'classifier' / 'card.md'}" in told.output
    assert load(models / "classifier").manifest.evaluated["held-out"]
