"""Simulated samples for the segmenter: summary images and true lesions, kept once made."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from dicomnode.science.loop import summary_images
from dicomnode.science.motion import register
from dicomnode.simulation.recipe import Geometry, Kind
from dicomnode.training.exams import Case, CohortName, cases, on_reference
from dicomnode.training.segmentation.samples import Sample

__all__ = ["Pictures", "exam_samples"]

Pictures = Mapping[Kind, Sequence[Geometry]]
"""Real lesions of either kind."""


def exam_samples(
    work: Path, cohort: CohortName, count: int, seed: int, pictures: Pictures | None = None
) -> list[Sample]:
    """Summary images and true lesions of a cohort, kept in ``work`` once they are made.

    Parameters
    ----------
    work : Path
    cohort, count, seed
        As in :func:`dicomnode.training.exams.cases`.
    pictures : Pictures, optional
        On which every second exam is built; the others are drawn.
    """
    path = work / f"{cohort}-{count}-{seed}{'-on-pictures' if pictures else ''}.npz"
    if count and not path.exists():
        chosen = enumerate(track(cases(cohort, count, seed), cohort))
        _keep(path, [_sample(case, _picture(pictures, case.kind, n)) for n, case in chosen])
    return _kept(path) if count else []


def _picture(pictures: Pictures | None, kind: Kind, number: int) -> Geometry | None:
    """The picture for an exam; its kind comes every second time, and every other has none."""
    turn = number // 2
    if not pictures or turn % 2 == 0 or not pictures[kind]:
        return None
    return pictures[kind][turn // 2 % len(pictures[kind])]


def _sample(case: Case, picture: Geometry | None) -> Sample:
    exam = case.simulate(picture)
    motion = register(exam.loop)
    return Sample.of(
        summary_images(exam.loop, motion),
        on_reference(exam.truth.lesion_mask, exam, motion.reference),
        group=f"simulated-{case.seed}",
        origin="simulated",
    )


def _keep(path: Path, samples: list[Sample]) -> None:
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        images=np.stack([sample.images for sample in samples]),
        masks=np.stack([sample.mask for sample in samples]),
        present=np.array([sample.present for sample in samples]),
        aspects=np.array([sample.aspect for sample in samples]),
        groups=np.array([sample.group for sample in samples]),
    )
    partial.replace(path)


def _kept(path: Path) -> list[Sample]:
    with np.load(path) as kept:
        columns = [kept[name] for name in ("images", "masks", "present", "aspects", "groups")]
    return [
        Sample(
            images=images,
            mask=mask,
            present=tuple(present.tolist()),
            aspect=float(aspect),
            group=str(group),
            origin="simulated",
        )
        for images, mask, present, aspect, group in zip(*columns, strict=True)
    ]
