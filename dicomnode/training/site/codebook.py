"""Learn the codebook of perfusion sub-regions from a site's own exams; write its bundle.

Nobody can say which kind a pixel of a real lesion is, so the kinds are clusters of all patients'
pixels, named by their order (:func:`dicomnode.science.subregions.learning.train_codebook`). On the
simulator, whose truth is known, that names 0.89 of the pixels rightly, as many as learning from
the truth does (40 exams of preset small, true outlines); in patients such clusters need not
exist. A codebook whose clusters do not bear their names is therefore refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.stats import multivariate_normal

from dicomnode.errors import BundleError, InputError, Reason, RefusedError, SettingsError
from dicomnode.inference.bundle import load
from dicomnode.inference.figures import Figure
from dicomnode.inference.models import Models
from dicomnode.pipeline import measure
from dicomnode.recipe import METHOD_VERSION, Recipe
from dicomnode.science import quality
from dicomnode.science.findings import UNRELIABLE, Findings
from dicomnode.science.subregions import pixel_features
from dicomnode.science.subregions.codebook import FEATURE_NAMES, Codebook
from dicomnode.science.subregions.learning import train_codebook
from dicomnode.training.card import Trained, refusals, write_bundle
from dicomnode.training.codebook import LEARN_FROM_QOF, manifest
from dicomnode.training.measured import Refusal, codes_of, name_of_recipe, undecided_models
from dicomnode.training.site.cohort import Enough, SiteCase, read_cohort, reading_of

__all__ = ["ENOUGH", "SiteCodebookSettings", "check_names", "train"]

Floats = NDArray[np.float64]

ENOUGH = Enough(patients=80, few=4, purpose="a codebook that holds")
FEWEST_PIXELS = 50
"""A lesion with fewer well-fitted pixels teaches nothing."""
DARK_LOG_PE = -1.2
"""Mean ln(PE / PE of tissue) below which a sub-region hardly enhances: there, the timing of a pixel
no longer counts in full (:func:`dicomnode.science.subregions.pixel_features`)."""
APART = 0.1
"""Least difference, in ln of a time, between kinds whose names say that one is the faster."""


@dataclass(frozen=True, kw_only=True)
class SiteCodebookSettings:
    """Everything that decides how a site's codebook comes out.

    Attributes
    ----------
    models : Path
        Folder with the ``segmenter`` and ``codebook`` bundles that the node has used so far.
    bundle : Path
        Folder the bundle is written to.
    work : Path
        Where measured pixels are kept; an interrupted run goes on from there.
    cohort : Path
        A site's table of cases; labels are not looked at.
    recipe : Recipe
        What the site's node will measure with.
    few : bool
        Whether fewer than :data:`ENOUGH` patients will do.
    """

    models: Path
    bundle: Path
    work: Path
    cohort: Path
    recipe: Recipe = field(default_factory=Recipe)
    few: bool = False
    seed: int = 1
    version: str = "1"


def train(settings: SiteCodebookSettings) -> Trained:
    """Measure the cohort, learn its codebook, see whether the names hold, and write the bundle.

    Raises
    ------
    SettingsError
        The table has rows that cannot be used, or too few patients.
    BundleError
        Too few exams could be measured, or the clusters do not bear the names of sub-regions.
    """
    cohort = read_cohort(settings.cohort, labelled=False, settings=reading_of(settings.recipe))
    if shortage := ENOUGH.shortage((case.patient for case in cohort.cases), few=settings.few):
        raise SettingsError(f"{settings.cohort}: {shortage}")
    models = undecided_models(settings.models)
    measured, refused = _measure(cohort.shuffled(), models, settings)
    if shortage := ENOUGH.shortage((case.patient for case, _ in measured), few=settings.few):
        raise BundleError(f"codebook: after {len(refused)} refusals: {shortage}", hint="")
    pixels = _by_patient(measured)
    codebook = train_codebook(pixels, seed=settings.seed)
    check_names(codebook)
    figures = (
        *_figures(codebook, pixels, models),
        *refusals(refused, len(cohort.cases)),
    )
    described = manifest(
        codebook,
        trained_on=f"{len(measured)} cases of this site, {len(pixels)} patients, unlabelled",
        licence="the site's own",
        source=cohort.source(len(measured)),
        figures=figures,
        version=settings.version,
    )
    bundle = write_bundle(settings.bundle, described, codebook.to_json().encode())
    return Trained(bundle=bundle, figures=figures, refused=refused)


def check_names(codebook: Codebook) -> None:
    """Refuse a codebook whose sub-regions are not what their names say.

    Only the non-perfused one hardly enhances; the rise shortens from "slow low" over
    "intermediate" to either fast one; "fast in slow out" falls more slowly than "fast in fast out".

    Raises
    ------
    BundleError
        With every name that does not hold.
    """
    axis = {name: codebook.means[:, FEATURE_NAMES.index(name)] for name in FEATURE_NAMES}
    pe, rise, fall = (axis[f"log relative {name}"] for name in ("PE", "RT", "FT"))
    slow_out, fast_out = len(pe) - 2, len(pe) - 1
    middle = range(2, slow_out)
    faults = [
        *(
            f"{codebook.names[k]}: expected ln(PE / tissue) {'below' if k == 0 else 'above'} "
            f"{DARK_LOG_PE}, got {pe[k]:.2f}"
            for k in range(len(pe))
            if (pe[k] < DARK_LOG_PE) != (k == 0)
        ),
        *(
            f"{codebook.names[quick]}: expected a shorter rise than {codebook.names[slow]} by "
            f"{APART} in ln, got {rise[slow] - rise[quick]:.2f}"
            for slow, quick in (
                *((1, k) for k in middle),
                *((k, fast) for k in middle for fast in (slow_out, fast_out)),
            )
            if rise[slow] - rise[quick] < APART
        ),
    ]
    if fall[slow_out] - fall[fast_out] < APART:
        faults.append(
            f"{codebook.names[fast_out]}: expected a shorter fall than "
            f"{codebook.names[slow_out]} by {APART} in ln, got "
            f"{fall[slow_out] - fall[fast_out]:.2f}"
        )
    if faults:
        raise BundleError(
            f"codebook: these cases' clusters do not bear the names of sub-regions: "
            f"{'; '.join(faults)}",
            hint="keep the codebook there is, or learn from more patients",
        )


def _measure(
    cases: Sequence[SiteCase], models: Models, settings: SiteCodebookSettings
) -> tuple[list[tuple[SiteCase, Floats]], tuple[Refusal, ...]]:
    """Features (pixels, 4) of each case, and the cases that were refused."""
    folder = settings.work / (
        f"pixels-{METHOD_VERSION}-{load(settings.models / 'segmenter').fingerprint[:8]}"
        f"{name_of_recipe(settings.recipe)}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    measured, refused = [], []
    for case in track(cases, "measuring"):
        try:
            measured.append((case, _kept(folder / f"{case.key}.npy", case, models, settings)))
        except (RefusedError, InputError) as error:
            refused.append(Refusal(name=case.name, reasons=codes_of(error)))
    return measured, tuple(refused)


def _kept(path: Path, case: SiteCase, models: Models, settings: SiteCodebookSettings) -> Floats:
    """Features of a case's pixels, from the disk where they were measured before."""
    if not path.exists():
        partial = path.with_suffix(".partial.npy")
        np.save(partial, _pixels(measure(case.loop(), models, settings.recipe)))
        partial.replace(path)
    return np.asarray(np.load(path), np.float64)


def _pixels(findings: Findings) -> Floats:
    """Features (N, 4) of the well-fitted pixels of a lesion whose outline the node trusts."""
    if doubts := quality.withholding(findings.quality):
        raise RefusedError(*doubts)
    fitted = findings.lesion_mask & (findings.subregion_map != UNRELIABLE)
    good = fitted & (findings.maps["QOF"] >= LEARN_FROM_QOF)
    if np.count_nonzero(good) < FEWEST_PIXELS:
        raise RefusedError(
            Reason(
                "unreliable-perfusion",
                f"{np.count_nonzero(good)} pixels of the lesion could be measured reliably, at "
                f"least {FEWEST_PIXELS} expected",
            )
        )
    tissue: Mapping[str, Floats] = {
        name: np.array([spread.median]) for name, spread in findings.tissue.parameters.items()
    }
    return pixel_features(
        {name: image[good].astype(np.float64) for name, image in findings.maps.items()}, tissue
    )


def _by_patient(measured: Sequence[tuple[SiteCase, Floats]]) -> list[Floats]:
    patients: dict[str, list[Floats]] = {}
    for case, features in measured:
        patients.setdefault(case.patient, []).append(features)
    return [np.concatenate(features) for features in patients.values()]


def _figures(codebook: Codebook, pixels: Sequence[Floats], models: Models) -> tuple[Figure, ...]:
    cohort = f"{len(pixels)} patients of this site{ENOUGH.remark(len(pixels))}"
    everyone = np.concatenate(pixels)
    before = models.codebook_use
    alike = np.mean(_kinds(codebook, everyone) == _kinds(models.codebook, everyone))
    return (
        *(
            Figure(
                name=f"split-half adjusted Rand index, {count} sub-regions",
                value=rand,
                conditions=f"codebooks from two halves of {cohort}; pixel by pixel, no smoothing",
            )
            for count, rand in codebook.stability
        ),
        Figure(
            name="share of pixels of the same kind as before",
            value=float(alike),
            conditions=(
                f"against the codebook {before.version} ({before.sha256[:8]}, trained on "
                f"{before.trained_on}); pixels of {cohort}, no smoothing"
            ),
        ),
    )


def _kinds(codebook: Codebook, features: Floats) -> NDArray[np.str_]:
    """Most probable kind (N,) of each pixel by itself."""
    log_posterior = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(features)
        for weight, mean, covariance in zip(
            codebook.weights, codebook.means, codebook.covariances, strict=True
        )
    ]
    return np.asarray(np.array(codebook.kinds)[np.argmax(log_posterior, axis=0)])
