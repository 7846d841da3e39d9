"""A site's own cases to learn from: the folders of DICOM files that its ``cases.csv`` names."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dicomnode.dicom.exam import Exam, ReadSettings, load_loop, read_study
from dicomnode.errors import Reason, RefusedError, SettingsError
from dicomnode.inference.bundle import Source
from dicomnode.recipe import Recipe
from dicomnode.science.loop import Loop
from dicomnode.training.measured import Subject
from dicomnode.training.site.table import Row, files_of, read_table

__all__ = [
    "LEAST_OF_EACH",
    "Enough",
    "SiteCase",
    "SiteCohort",
    "read_cohort",
    "reading_of",
    "too_few",
]

LEAST_OF_EACH = 10
"""Fewest patients of either kind: five folds, and in each of them two to judge and eight to learn
from, which are divided once more."""


@dataclass(frozen=True, kw_only=True)
class SiteCase:
    """One exam of a site.

    Attributes
    ----------
    name : str
        As it stands in the table.
    folder : Path
        Its DICOM files, at any depth.
    label : str
        "benign", "malignant", or nothing where it is not told.
    patient : str
        Cases of one patient share it.
    readings : mapping of str to float
        Malignancy score by reader, of those who gave one.
    line : int
        Where it stands in the table.
    lesion : Path or None
        File with the outline of its lesion, see :mod:`dicomnode.training.site.outline`.
    """

    name: str
    folder: Path
    label: str
    patient: str
    readings: Mapping[str, float]
    settings: ReadSettings
    line: int
    lesion: Path | None

    @property
    def is_malignant(self) -> bool:
        """The label to learn."""
        return self.label == "malignant"

    @property
    def files(self) -> list[Path]:
        """All that lies in the folder but the outline, which is no part of the exam."""
        return files_of(self.folder, self.lesion)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the files: it changes whenever one of them does."""
        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def exam(self) -> Exam:
        """Find the one contrast exam in the folder; ``RefusedError`` where there is none or more.

        A few frames are looked at.
        """
        study = read_study(self.files, self.settings)
        if not study.exams:
            by_code = {left.reason.code: left.reason for left in study.left_out}
            raise RefusedError(*by_code.values())
        if len(study.exams) > 1:
            raise RefusedError(
                Reason(
                    "several-injections",
                    f"expected one injection in the folder, found {len(study.exams)}: put each "
                    "into a folder of its own, with the same patient",
                )
            )
        studies = {clip.header.StudyInstanceUID for clip in study.exams[0].clips}
        if len(studies) > 1:
            raise RefusedError(
                Reason(
                    "several-studies",
                    f"expected the files of one study in the folder, found {len(studies)}",
                )
            )
        return study.exams[0]

    def loop(self) -> Loop:
        """Decode the exam; as :meth:`exam`, and ``InputError`` where a frame cannot be decoded."""
        return load_loop(self.exam())


@dataclass(frozen=True, kw_only=True)
class SiteCohort:
    """The cases of a table, who read them, and the table with its digest."""

    path: Path
    cases: tuple[SiteCase, ...]
    readers: tuple[str, ...]
    sha256: str

    def shuffled(self) -> tuple[SiteCase, ...]:
        """Cases by their digests: an order that tells nothing and does not change."""
        return tuple(sorted(self.cases, key=lambda case: case.key))

    def outlined(self) -> tuple[SiteCase, ...]:
        """Cases whose lesion is outlined, in the same order."""
        return tuple(case for case in self.shuffled() if case.lesion is not None)

    def source(self, count: int) -> Source:
        """Name the ``count`` cases that were learnt from, for a manifest."""
        return Source(
            name=f"{count} of the {len(self.cases)} cases in the site's table",
            licence="the site's own",
            citation=f"Table with sha256 {self.sha256}.",
        )


@dataclass(frozen=True, kw_only=True)
class Enough:
    """How many patients a model takes: so many, or a few where the site asks for it all the same.

    Attributes
    ----------
    purpose : str
        What so many are for, such as "a codebook that holds".
    """

    patients: int
    few: int
    purpose: str

    def shortage(self, patients: Iterable[str], *, few: bool) -> str:
        """Say that there are too few patients; nothing where there are enough."""
        count, least = len(set(patients)), self.few if few else self.patients
        if count >= least:
            return ""
        way_out = "" if few else "; --few learns from fewer, and the card says so"
        return f"expected at least {least} patients for {self.purpose}, got {count}{way_out}"

    def remark(self, patients: int) -> str:
        """Words for the card where there were only a few; nothing where there were enough."""
        few = patients < self.patients
        return f", fewer than the {self.patients} for {self.purpose}" if few else ""


def read_cohort(path: Path, *, labelled: bool, settings: ReadSettings) -> SiteCohort:
    """Read a table of cases and check all of it before anything is measured.

    Parameters
    ----------
    path : Path
        See :mod:`dicomnode.training.site.table`.
    labelled : bool
        Whether every case needs a label, and enough patients each.
    settings : ReadSettings
        How the files are read.

    Raises
    ------
    SettingsError
        With every row that cannot be used, or too few patients of a kind.
    """
    readers, rows = read_table(path, labelled=labelled)
    cases = tuple(_case(row, readers, settings) for row in rows)
    few = too_few(cases) if labelled else ""
    if few:
        raise SettingsError(f"{path}: {few}")
    _refuse_copies(path, rows, cases)
    return SiteCohort(
        path=path,
        cases=cases,
        readers=readers,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def reading_of(recipe: Recipe) -> ReadSettings:
    """Read files as a node with this recipe does."""
    return ReadSettings(
        dynamic_range_db=recipe.dynamic_range_db,
        dynamic_range_by_model=recipe.dynamic_range_by_model,
    )


def too_few(subjects: Sequence[Subject]) -> str:
    """Say which kind has too few patients to learn from; nothing where there are enough."""
    patients = {
        label: len({each.patient for each in subjects if each.is_malignant == is_malignant})
        for label, is_malignant in (("benign", False), ("malignant", True))
    }
    if min(patients.values()) >= LEAST_OF_EACH:
        return ""
    found = " and ".join(f"{count} {label}" for label, count in patients.items())
    return f"expected at least {LEAST_OF_EACH} patients of either kind for the folds, got {found}"


def _case(row: Row, readers: Sequence[str], settings: ReadSettings) -> SiteCase:
    return SiteCase(
        name=row.cells["case"],
        folder=row.folder,
        label=row.cells["label"].lower(),
        patient=row.cells.get("patient") or row.cells["case"],
        readings={name: float(row.cells[name]) for name in readers if row.cells[name]},
        settings=settings,
        line=row.line,
        lesion=row.lesion,
    )


def _refuse_copies(path: Path, rows: Sequence[Row], cases: Sequence[SiteCase]) -> None:
    """Refuse the same files in two folders: they would be learnt from and judged by, too."""
    first: dict[str, int] = {}
    faults = []
    for row, case in zip(rows, cases, strict=True):
        line = first.setdefault(case.key, row.line)
        if line != row.line:
            faults.append(f"\n  line {row.line}: {case.name!r} holds the files of line {line}")
    if faults:
        raise SettingsError(f"{path}: expected each exam once, found copies:{''.join(faults)}")
