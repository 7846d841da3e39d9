"""Lesion features of exams, measured by the node's own function and kept on disk."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dicomnode.errors import InputError, RefusedError
from dicomnode.inference.bundle import load
from dicomnode.inference.models import Models, read_codebook
from dicomnode.inference.segment import Segmenter
from dicomnode.pipeline import measure
from dicomnode.recipe import METHOD_VERSION, Recipe
from dicomnode.science.feature_table import FEATURES
from dicomnode.science.findings import Diagnosis, ModelUse
from dicomnode.science.loop import Loop
from dicomnode.training.changes import CHANGES, PAIRS, WHOLE
from dicomnode.training.processes import shared_out

__all__ = [
    "MEASURING",
    "FeatureCache",
    "FeatureTable",
    "Refusal",
    "Subject",
    "codes_of",
    "name_of_recipe",
    "undecided_models",
]

Mask = NDArray[np.bool_]
Matrix = NDArray[np.float64]

MEASURING = ("segmenter", "codebook")
"""Bundles that exams are measured with; what a classifier learns rests on them."""


class Subject(Protocol):
    """An exam to learn from, simulated or of a site."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def key(self) -> str:
        """Another one wherever another loop would be measured."""

    @property
    def patient(self) -> str:
        """The same for all exams of one patient."""

    @property
    def is_malignant(self) -> bool:
        """The label to learn."""

    def loop(self) -> Loop:
        """Make or decode the loop; ``RefusedError`` or ``InputError`` where there is none."""


class _Undecided:
    """Stands where the classifier will: the node's own function then yields features only."""

    use = ModelUse(
        name="undecided", version="0", task="classification", sha256="", manifest_sha256="",
        trained_on="nothing",
    )  # fmt: skip

    def classify(self, _features: Mapping[str, float], /) -> Diagnosis:
        """Say nothing about any lesion."""
        return Diagnosis.withheld()


def undecided_models(directory: Path) -> Models:
    """Load the bundles of :data:`MEASURING`; no classifier is needed yet."""
    codebook = load(directory / "codebook")
    return Models(
        segmenter=Segmenter(load(directory / "segmenter")),
        codebook=read_codebook(codebook),
        codebook_use=codebook.use,
        classifier=_Undecided(),
    )


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An exam that could not be measured, and the codes of the reasons."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features (N, len(FEATURES)) of the N exams that were measured, and the others."""

    features: Matrix
    measured: tuple[Subject, ...]
    refused: tuple[Refusal, ...]

    @property
    def is_malignant(self) -> Mask:
        """Labels (N,)."""
        return np.array([subject.is_malignant for subject in self.measured], np.bool_)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Whose exam each is (N,)."""
        return np.array([subject.patient for subject in self.measured], np.str_)


@dataclass(frozen=True, kw_only=True)
class _Note:
    """A lesion's features in the order of FEATURES, or the codes of why there are none."""

    features: tuple[float, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Bundles:
    """Where segmenter and codebook lie, and which they are."""

    directory: Path
    digests: str


@cache
def _loaded(bundles: _Bundles) -> Models:
    """Load the models once in a process, and anew where there are others."""
    return undecided_models(bundles.directory)


class FeatureCache:
    """Measures exams and remembers them in a file that only these models may add to.

    Parameters
    ----------
    work : Path
        Folder of the file; an interrupted run goes on from it.
    models : Path
        Folder of the ``segmenter`` and ``codebook`` bundles.
    recipe : Recipe
        As the node will use it.
    jobs : int
        Processes that share the exams.
    """

    def __init__(
        self, work: Path, models: Path, recipe: Recipe | None = None, jobs: int = 1
    ) -> None:
        digests = "-".join(load(models / name).fingerprint[:8] for name in MEASURING)
        self._models = _Bundles(directory=models, digests=digests)
        self._recipe = recipe or Recipe()
        self._jobs = jobs
        work.mkdir(parents=True, exist_ok=True)
        recipe_name = name_of_recipe(self._recipe)
        self._path = work / f"measured-{METHOD_VERSION}-{self._models.digests}{recipe_name}.jsonl"
        self._notes = _notes(self._path)

    def table(self, subjects: Sequence[Subject]) -> FeatureTable:
        """Measure whole exams."""
        self._measure(subjects, (WHOLE,), "measuring")
        pairs = [(subject, self._notes[_key(subject, WHOLE)]) for subject in subjects]
        known = [(subject, note) for subject, note in pairs if note.features]
        return FeatureTable(
            features=np.array([note.features for _, note in known]).reshape(-1, len(FEATURES)),
            measured=tuple(subject for subject, _ in known),
            refused=tuple(
                Refusal(name=subject.name, reasons=note.refused)
                for subject, note in pairs
                if note.refused
            ),
        )

    def pairs(self, subjects: Sequence[Subject]) -> dict[str, tuple[Matrix, Matrix]]:
        """Measure exams in every way of :data:`PAIRS`.

        Returns
        -------
        dict of name to two ndarrays, shape (N, len(FEATURES))
            Of the N exams that were refused neither way.
        """
        ways = tuple(way for pair in PAIRS.values() for way in pair)
        self._measure(subjects, ways, "measuring again")
        return {
            name: _stacked([[self._notes[_key(each, way)] for way in pair] for each in subjects])
            for name, pair in PAIRS.items()
        }

    def _measure(self, subjects: Sequence[Subject], ways: tuple[str, ...], words: str) -> None:
        """Measure what is not known yet, and keep it as it comes."""
        missing = [
            subject
            for subject in {subject.key: subject for subject in subjects}.values()
            if any(_key(subject, way) not in self._notes for way in ways)
        ]
        work = partial(_measured, self._models, self._recipe, ways)
        found = shared_out(work, missing, self._jobs, words)
        for subject, notes in zip(missing, found, strict=True):
            for way, note in notes.items():
                self._keep(_key(subject, way), note)

    def _keep(self, key: str, note: _Note) -> None:
        self._notes[key] = note
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, asdict(note)]) + "\n")


def _key(subject: Subject, way: str) -> str:
    return f"{subject.key} {way}".rstrip()


def name_of_recipe(recipe: Recipe) -> str:
    """Tell recipes apart in file names; the default one adds nothing."""
    if recipe == Recipe():
        return ""
    return "-" + sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:8]


def codes_of(error: RefusedError | InputError) -> tuple[str, ...]:
    """Give the codes of why an exam cannot be measured."""
    reasons = error.reasons if isinstance(error, RefusedError) else (error.reason,)
    return tuple(reason.code for reason in reasons)


def _notes(path: Path) -> dict[str, _Note]:
    """Read what was kept; a last line that a power cut tore is dropped."""
    if not path.exists():
        return {}
    whole, _, torn = path.read_text(encoding="utf-8").rpartition("\n")
    if torn:
        path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
    kept = (json.loads(line) for line in whole.splitlines())
    return {
        key: _Note(features=tuple(note["features"]), refused=tuple(note["refused"]))
        for key, note in kept
    }


def _measured(
    bundles: _Bundles, recipe: Recipe, ways: tuple[str, ...], subject: Subject
) -> dict[str, _Note]:
    """Measure an exam in several ways; one that cannot be decoded is refused in each."""
    try:
        loop = subject.loop()
    except (RefusedError, InputError) as error:
        return dict.fromkeys(ways, _Note(refused=codes_of(error)))
    models = _loaded(bundles)
    return {way: _note(*CHANGES[way](loop, models), recipe) for way in ways}


def _note(loop: Loop, models: Models, recipe: Recipe) -> _Note:
    """Measure a loop; one whose features the node would not judge is refused."""
    try:
        findings = measure(loop, models, recipe)
    except RefusedError as refused:
        return _Note(refused=codes_of(refused))
    if findings.diagnosis.reasons:
        return _Note(refused=tuple(reason.code for reason in findings.diagnosis.reasons))
    return _Note(features=tuple(findings.features[feature.name] for feature in FEATURES))


def _stacked(pairs: Sequence[Sequence[_Note]]) -> tuple[Matrix, Matrix]:
    both = [(one.features, other.features) for one, other in pairs]
    known = [pair for pair in both if all(pair)]
    stacked = np.array(known).reshape(len(known), 2, len(FEATURES))
    return stacked[:, 0], stacked[:, 1]
