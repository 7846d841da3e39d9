"""A model bundle: manifest, digest and shapes are checked before a model may answer anything.

::

    models/<name>/manifest.toml     what the model is, what it wants, what it was trained on
                  model.onnx        or the file that the manifest names
                  card.md           the same for people
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplementedOperator
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dicomnode.errors import BundleError
from dicomnode.inference.figures import Figure, headlines
from dicomnode.science.compiled import cores
from dicomnode.science.findings import ModelUse

__all__ = [
    "Bundle",
    "Calibration",
    "Channel",
    "Distribution",
    "Linear",
    "Manifest",
    "Source",
    "Task",
    "Tensor",
    "Tensors",
    "load",
    "open_session",
]

Task = Literal["segmentation", "sub-regions", "classification"]

ANY = -1
"""A dimension that the model leaves open, the batch."""

THREADS = 2

UNUSABLE = (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplementedOperator,
    RuntimeException,
)
"""What onnxruntime raises for a file that is not a model it can run; they share no base class."""

onnxruntime.disable_telemetry_events()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Channel(_Part):
    """One input of the model: an image channel or a feature.

    A network that expects colours names the same image three times. ``mean`` and ``sd``, of images
    in 0..1, belong to the normalisation "fixed".
    """

    name: str
    meaning: str
    normalisation: str
    mean: float = 0.0
    sd: float = Field(default=1.0, gt=0)


class Tensor(_Part):
    """Name and shape of a model's input or output; -1 leaves a dimension open."""

    name: str
    shape: tuple[int, ...]


class Tensors(_Part):
    """What goes in and what comes out."""

    input: Tensor
    output: Tensor


class OutputSpec(_Part):
    """How a segmenter's output becomes a probability of lesion, pixel by pixel.

    ``channel`` is the output channel of the lesion; "softmax" is over all of them. No lesion is
    reported where the mean of the most likely pixels is below ``present``.
    """

    activation: Literal["sigmoid", "softmax", "none"] = "sigmoid"
    channel: int = Field(default=0, ge=0)
    present: float = Field(default=0.5, ge=0, le=1)


class Source(_Part):
    """One body of training data."""

    name: str
    licence: str
    citation: str


class Linear(_Part):
    """A logistic regression, feature by feature, so that contributions are exact."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float


class Beta(_Part):
    """Beta calibration (:mod:`dicomnode.inference.calibration`); by default it changes nothing."""

    a: float = Field(default=1.0, ge=0)
    b: float = Field(default=1.0, ge=0)
    c: float = 0.0


class Calibration(_Part):
    """Out-of-fold answers of the training cohort: what conformal sets and intervals rest on.

    ``benign`` and ``malignant`` are the largest non-conformity (one minus the class's
    probability) at which that class still belongs to the prediction set.
    """

    beta: Beta = Beta()
    """From the linear model's log-odds to those that are answered."""
    coverage: float = Field(gt=0.5, lt=1.0)
    benign: float
    malignant: float
    log_odds: tuple[float, ...]
    is_malignant: tuple[bool, ...]

    @property
    def prevalence(self) -> float:
        """Share of malignant exams among those calibrated on, which each answer assumes."""
        return sum(self.is_malignant) / len(self.is_malignant)


class Distribution(_Part):
    """Where the training cohort lies: precision of the scaled features, and how far is too far."""

    precision: tuple[tuple[float, ...], ...]
    limit: float


class Manifest(_Part):
    """The checked content of ``manifest.toml``."""

    name: str
    version: str
    task: Task
    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    trained_on: str
    licence: str
    intended_use: str
    inputs: tuple[Channel, ...]
    views: tuple[tuple[str, ...], ...] = ()
    """Sets of inputs that a segmenter also answers from; the mean of all answers counts."""
    output: str
    answer: OutputSpec = OutputSpec()
    fit: Literal["letterbox", "stretch"] = "letterbox"
    """How a segmenter's pane fills the network's image: in its true aspect ratio, or not."""
    tensors: Tensors | None = None
    training_data: tuple[Source, ...] = ()
    figures: tuple[Figure, ...] = ()
    """From training."""
    evaluated: Mapping[str, tuple[Figure, ...]] = {}
    """From ``dicomnode evaluate --record``, by cohort."""
    linear: Linear | None = None
    calibration: Calibration | None = None
    distribution: Distribution | None = None

    @property
    def all_figures(self) -> tuple[Figure, ...]:
        """From training, then from evaluations."""
        return (*self.figures, *chain.from_iterable(self.evaluated.values()))


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose digest and shapes were found to be what its manifest says."""

    name: str
    version: str
    task: Task
    manifest: Manifest
    path: Path
    sha256: str
    manifest_sha256: str
    content: bytes
    """The model file as it was hashed, so that nothing is read twice."""
    session: onnxruntime.InferenceSession | None
    """None where the model is not an ONNX file."""

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides its answers: of the manifest, but for its figures."""
        decisive = self.manifest.model_dump_json(exclude={"figures", "evaluated"})
        return hashlib.sha256(decisive.encode()).hexdigest()

    @property
    def use(self) -> ModelUse:
        """What a result says about this bundle."""
        return ModelUse(
            name=self.name,
            version=self.version,
            task=self.task,
            sha256=self.sha256,
            manifest_sha256=self.manifest_sha256,
            trained_on=self.manifest.trained_on,
            figures=headlines(self.manifest.all_figures),
        )


def load(directory: Path) -> Bundle:
    """Read a bundle and refuse, by name, one that is not what its manifest says.

    Raises
    ------
    BundleError
        Manifest missing or malformed, digest or shapes different.
    """
    described = directory / "manifest.toml"
    written = _read(directory.name, described)
    manifest = _manifest(described, written)
    path = directory / manifest.file
    content = _content(manifest, path)
    return Bundle(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        manifest=manifest,
        path=path,
        sha256=manifest.sha256,
        manifest_sha256=hashlib.sha256(written).hexdigest(),
        content=content,
        session=_session(manifest, content) if path.suffix == ".onnx" else None,
    )


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"bundle {name}: expected a readable {path}, got {error.strerror}"
        ) from error


def _manifest(path: Path, written: bytes) -> Manifest:
    try:
        return Manifest.model_validate(tomllib.loads(written.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"bundle {path.parent.name}: {path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"bundle {path.parent.name}: {path}: {where}: {first['msg']}") from error


def _content(manifest: Manifest, path: Path) -> bytes:
    if Path(manifest.file).name != manifest.file:
        raise BundleError(
            f"bundle {manifest.name}: file: expected a plain file name, got {manifest.file!r}"
        )
    content = _read(manifest.name, path)
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.sha256:
        raise BundleError(
            f"bundle {manifest.name}: {path}: expected sha256 {manifest.sha256}, got {found}",
            hint="the file was changed after its manifest was written: install the bundle again",
        )
    return content


def _session(manifest: Manifest, content: bytes) -> onnxruntime.InferenceSession:
    if manifest.tensors is None:
        raise BundleError(f"bundle {manifest.name}: manifest: expected [tensors] for an ONNX model")
    session = open_session(manifest.name, content)
    _same_shape(manifest.name, "input", manifest.tensors.input, session.get_inputs())
    _same_shape(manifest.name, "output", manifest.tensors.output, session.get_outputs())
    return session


def open_session(name: str, content: bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model on the CPU with few threads, none of which spins while it waits.

    Its answers do not depend on their number.

    Raises
    ------
    BundleError
        The content is not a model that runs here.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(THREADS, cores())
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except UNUSABLE as error:
        raise BundleError(f"bundle {name}: not a model that runs here: {error}") from error


def _same_shape(name: str, side: str, expected: Tensor, nodes: list[onnxruntime.NodeArg]) -> None:
    found = {
        node.name: tuple(size if isinstance(size, int) else ANY for size in node.shape)
        for node in nodes
    }
    there = found.get(expected.name, ())
    if len(there) != len(expected.shape) or any(
        size not in (ANY, stated) for size, stated in zip(there, expected.shape, strict=True)
    ):
        raise BundleError(
            f"bundle {name}: {side}: expected {expected.name} {expected.shape} as in the manifest, "
            f"the model has {found}"
        )
