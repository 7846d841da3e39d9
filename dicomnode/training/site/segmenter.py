"""Train the segmenter on a site's own cases, judge it on patients it never saw; write its bundle.

The site's exams carry their own contrast and are learnt from as simulated ones are, together with
those and with BUSI where the site has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from dicomnode.errors import BundleError, SettingsError
from dicomnode.inference.bundle import load
from dicomnode.inference.figures import Figure
from dicomnode.inference.segment import Segmenter
from dicomnode.recipe import Recipe
from dicomnode.training.card import Trained, refusals
from dicomnode.training.scoring.overlap_figures import REPORTED, judged, overlap_figures
from dicomnode.training.segmentation.learning import learn
from dicomnode.training.segmentation.segmenter import (
    SegmenterSettings,
    TrainingSources,
    prepare,
    public_samples,
    public_sources,
    write_segmenter,
)
from dicomnode.training.site.cohort import Enough, SiteCohort, read_cohort, reading_of
from dicomnode.training.site.exams import OutlinedExam, held_out, outlined_exams

__all__ = ["ENOUGH", "SiteSegmenterSettings", "train"]

ENOUGH = Enough(patients=20, few=5, purpose="a segmenter that is judged on some of them")


@dataclass(frozen=True, kw_only=True)
class SiteSegmenterSettings:
    """Everything that decides how a site's segmenter comes out.

    Attributes
    ----------
    segmenter : SegmenterSettings
        As for any segmenter; ``exams`` may be 0.
    cohort : Path
        A site's table of cases; those whose lesion is outlined are learnt from, labels are not
        looked at.
    recipe : Recipe
        What the site's node will measure with.
    few : bool
        Whether fewer patients than :data:`ENOUGH` says will do.
    """

    segmenter: SegmenterSettings
    cohort: Path
    recipe: Recipe = field(default_factory=Recipe)
    few: bool = False


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """A site's exams: those that are learnt from, and those of other patients, to judge by."""

    learnt: tuple[OutlinedExam, ...]
    unseen: tuple[OutlinedExam, ...]


def train(settings: SiteSegmenterSettings) -> Trained:
    """Learn from four patients of five, judge the exported bundle on the fifth, and write it.

    Raises
    ------
    SettingsError
        The table has rows or outlines that cannot be used, or too few patients.
    BundleError
        Too few exams could be decoded.
    """
    cohort = read_cohort(settings.cohort, labelled=False, settings=reading_of(settings.recipe))
    outlined = cohort.outlined()
    if shortage := ENOUGH.shortage((case.patient for case in outlined), few=settings.few):
        raise SettingsError(f"{settings.cohort}: lesion: {shortage}")
    prepare(settings.segmenter)
    exams, refused = outlined_exams(cohort, settings.segmenter.work, settings.recipe)
    if shortage := ENOUGH.shortage((exam.patient for exam in exams), few=settings.few):
        raise BundleError(f"segmenter: after {len(refused)} refusals: {shortage}", hint="")
    parts = _parted(exams, settings.segmenter.seed)
    network = learn(
        [exam.sample() for exam in parts.learnt] + public_samples(settings.segmenter),
        settings.segmenter,
        _checkpoint(parts, settings.segmenter),
    )
    sources = _sources(parts, cohort, settings.segmenter)
    draft = settings.segmenter.work / "site-segmenter"
    write_segmenter(network, settings.segmenter, draft, sources, ())
    figures = (
        *_figures(Segmenter(load(draft)), parts),
        *_left_out(cohort),
        *refusals(refused, len(outlined)),
    )
    bundle = write_segmenter(
        network, settings.segmenter, settings.segmenter.bundle, sources, figures
    )
    return Trained(bundle=bundle, figures=figures, refused=refused)


def _parted(exams: Sequence[OutlinedExam], seed: int) -> _Parts:
    out = held_out((exam.patient for exam in exams), seed)
    return _Parts(
        learnt=tuple(exam for exam in exams if exam.patient not in out),
        unseen=tuple(exam for exam in exams if exam.patient in out),
    )


def _checkpoint(parts: _Parts, settings: SegmenterSettings) -> Path:
    """Name it by all that is learnt from: one of other patients may know who is held out here."""
    facts = (*sorted(exam.path.stem for exam in parts.learnt), settings.busi, settings.exams)
    facts += (settings.seed, settings.size)
    digest = sha256("\n".join(map(str, facts)).encode()).hexdigest()
    return settings.work / f"site-{digest[:16]}.pt"


def _sources(parts: _Parts, cohort: SiteCohort, settings: SegmenterSettings) -> TrainingSources:
    busi = ", BUSI B-mode images" if settings.busi else ""
    simulated = " and simulated exams" if settings.exams else ""
    count = len(parts.learnt)
    return TrainingSources(
        trained_on=f"{count} cases of this site{busi}{simulated}",
        licence="the site's own",
        sources=(cohort.source(count), *public_sources(settings)),
    )


def _figures(segmenter: Segmenter, parts: _Parts) -> tuple[Figure, ...]:
    rows = []
    for exam in parts.unseen:
        seen = exam.seen()
        found = segmenter.segment(seen.images, seen.spacing_mm)
        rows.append(judged(found, seen.mask, seen.spacing_mm))
    patients = [len({exam.patient for exam in side}) for side in (parts.learnt, parts.unseen)]
    conditions = (
        f"{len(rows)} cases of this site of {patients[1]} patients that were not learnt from; "
        f"learnt from {patients[0]} others{ENOUGH.remark(sum(patients))}"
    )
    return (
        *overlap_figures(rows, conditions, "mm"),
        Figure(
            name=REPORTED,
            value=sum(row["reported"] for row in rows) / len(rows),
            conditions=conditions,
            count=len(rows),
        ),
    )


def _left_out(cohort: SiteCohort) -> tuple[Figure, ...]:
    """Count the cases without an outline, for the card."""
    count = len(cohort.cases) - len(cohort.outlined())
    if not count:
        return ()
    conditions = f"{len(cohort.cases)} cases in the site's table"
    name = "cases without an outline, not learnt from"
    return (Figure(name=name, value=count, conditions=conditions),)
