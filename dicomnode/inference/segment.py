"""Lesion segmentation: a small network on the B-mode and contrast summary images of a loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from dicomnode.errors import BundleError
from dicomnode.inference.bundle import Bundle, Channel, Tensors
from dicomnode.science.masks import box_around, opened

__all__ = ["NORMALISATIONS", "PRESENT", "SMALLEST_PX", "Segmentation", "Segmenter"]

Image = NDArray[np.float32]

PRESENT = 0.5
"""Probability from which a pixel may belong to the lesion."""

SPUR = 0.12
"""Spurs thinner than twice this share of the lesion's mean radius are not trusted."""

SMALLEST_PX = 48
"""The smallest lesion, in pixels of the network's image, that the lesion probability rests on."""


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """The answer on the pane's own pixels.

    Attributes
    ----------
    probability : ndarray of float32, shape (R, C)
        Probability of lesion, mean over mirrored views.
    mask : ndarray of bool, shape (R, C)
        One connected region without holes; empty where no lesion was found.
    lesion_probability : float
        Mean probability of the most likely pixels: whether there is a lesion at all.
    uncertainty : float
        Mean binary entropy (bits, 0 to 1) over the mask and its border; 1 where the mask is empty.
    """

    probability: Image
    mask: NDArray[np.bool_]
    lesion_probability: float
    uncertainty: float


@dataclass(frozen=True, kw_only=True)
class _Box:
    """Where a pane lies inside the network's image: scaled without distortion, then centred."""

    rows: slice
    columns: slice

    @classmethod
    def of(cls, height_mm: float, width_mm: float, size: tuple[int, int]) -> Self:
        """Fit a pane of that extent into an image of ``size`` pixels."""
        scale = min(size[0] / height_mm, size[1] / width_mm)
        rows = min(size[0], max(1, round(height_mm * scale)))
        columns = min(size[1], max(1, round(width_mm * scale)))
        top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
        return cls(rows=slice(top, top + rows), columns=slice(left, left + columns))

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Self:
        """Fill the image, whatever the pane's shape."""
        return cls(rows=slice(0, size[0]), columns=slice(0, size[1]))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def _resize(image: Image, shape: tuple[int, int]) -> Image:
    """Bilinear; where pixels become fewer, each new one is the weighted mean of those it covers."""
    picture = PIL.Image.fromarray(np.ascontiguousarray(image, np.float32))
    return np.array(picture.resize(shape[::-1], PIL.Image.Resampling.BILINEAR))


def _z_score(image: Image, _channel: Channel) -> Image:
    scaled: Image = (image - image.mean()) / max(float(image.std()), 1e-3)
    return scaled


def _fixed(image: Image, channel: Channel) -> Image:
    scaled: Image = (image - np.float32(channel.mean)) / np.float32(channel.sd)
    return scaled


NORMALISATIONS: Mapping[str, Callable[[Image, Channel], Image]] = {
    "z-score": _z_score,
    "fixed": _fixed,
}
"""How a channel is scaled over the pane at the network's resolution, by the manifest's word for it.

A missing channel is zero everywhere, as is the border around the pane."""


class Segmenter:
    """A segmentation bundle, ready to answer.

    Parameters
    ----------
    bundle : Bundle
        A bundle of task "segmentation".
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.task != "segmentation" or bundle.session is None:
            raise BundleError(
                f"bundle {bundle.name}: expected an ONNX model for segmentation, got {bundle.task}"
            )
        unknown = {channel.normalisation for channel in bundle.manifest.inputs}.difference(
            NORMALISATIONS
        )
        if unknown:
            raise BundleError(
                f"bundle {bundle.name}: normalisation: expected one of "
                f"{sorted(NORMALISATIONS)}, got {sorted(unknown)}"
            )
        self.use = bundle.use
        self._session = bundle.session
        self._channels = bundle.manifest.inputs
        self._views = bundle.manifest.views
        self._answer, self._fit = bundle.manifest.answer, bundle.manifest.fit
        self._tensors = _image_tensors(bundle)
        batch, count, *size = self._tensors.input.shape
        if count != len(self._channels):
            raise BundleError(
                f"bundle {bundle.name}: expected {count} input channels as in the model, "
                f"the manifest names {len(self._channels)}"
            )
        self._alone = batch == 1
        self._size = (size[0], size[1])

    def segment(
        self,
        images: Mapping[str, Image],
        spacing_mm: tuple[float, float],
    ) -> Segmentation:
        """Find the lesion on summary images of one shape; any of the known channels may be missing.

        ``spacing_mm`` keeps the pane's true aspect ratio; its size in millimetres plays no part.
        """
        shape = self._shape(images)
        box = self._box(shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
        boxed = np.stack([self._stack(view, box) for view in self._views_of(images)])
        mirrored = np.concatenate([boxed, boxed[..., ::-1]])
        plain, flipped = np.split(self._probabilities(mirrored), 2)
        inner = ((plain + flipped[..., ::-1]) / 2).mean(axis=0)[box.rows, box.columns]
        return _answer(_resize(inner, shape), _lesion_probability(inner), self._answer.present)

    def _box(self, height_mm: float, width_mm: float) -> _Box:
        if self._fit == "stretch":
            return _Box.whole(self._size)
        return _Box.of(height_mm, width_mm, self._size)

    def _probabilities(self, stacks: Image) -> Image:
        """Probability of lesion (N, rows, columns) on the network's image."""
        feeds = np.split(stacks, len(stacks)) if self._alone else [stacks]
        name, out = self._tensors.input.name, self._tensors.output.name
        answers = np.concatenate([self._session.run([out], {name: feed})[0] for feed in feeds])
        found = _ACTIVATIONS[self._answer.activation](answers)[:, self._answer.channel]
        if found.shape[1:] == self._size:
            return found
        return np.stack([_resize(each, self._size) for each in found])

    def _views_of(self, images: Mapping[str, Image]) -> list[Mapping[str, Image]]:
        """All images, and each of the manifest's views that leaves some of them out."""
        views = [{n: images[n] for n in names} for names in self._views if images.keys() > {*names}]
        return [images, *views]

    def _shape(self, images: Mapping[str, Image]) -> tuple[int, int]:
        known = [images[c.name].shape for c in self._channels if c.name in images]
        if not known or any(shape != known[0] for shape in known):
            names = [channel.name for channel in self._channels]
            raise ValueError(
                f"images: expected one shape for any of {names}, got "
                f"{ {name: image.shape for name, image in images.items()} }"
            )
        return known[0][0], known[0][1]

    def _stack(self, images: Mapping[str, Image], box: _Box) -> Image:
        boxed = np.zeros((len(self._channels), *self._size), np.float32)
        for index, channel in enumerate(self._channels):
            if channel.name in images:
                small = _resize(images[channel.name], box.shape)
                boxed[index, box.rows, box.columns] = NORMALISATIONS[channel.normalisation](
                    small, channel
                )
        return boxed


def _image_tensors(bundle: Bundle) -> Tensors:
    """The manifest's tensors, if they are those of images with a channel for the lesion."""
    tensors, channel = bundle.manifest.tensors, bundle.manifest.answer.channel
    shapes = [] if tensors is None else [tensors.input.shape, tensors.output.shape]
    four = bool(shapes) and all(len(shape) == 4 for shape in shapes)
    if tensors is None or not four or min(shapes[0][2:]) < 1 or shapes[1][1] <= channel:
        raise BundleError(
            f"bundle {bundle.name}: tensors: expected an input (batch, channels, rows, columns) of "
            f"a stated size and an output of more than {channel} channels, got {shapes}"
        )
    return tensors


def _sigmoid(logits: Image) -> Image:
    return (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)


_ACTIVATIONS: Mapping[str, Callable[[Image], Image]] = {
    "sigmoid": _sigmoid,
    "softmax": lambda logits: np.asarray(softmax(logits, axis=1), np.float32),
    "none": lambda found: np.clip(found, 0, 1).astype(np.float32),
}
"""By the manifest's word for it, over (N, channels, rows, columns)."""


def _lesion_probability(boxed: Image) -> float:
    return float(np.sort(boxed, axis=None)[-SMALLEST_PX:].mean())


def _answer(probability: Image, lesion_probability: float, present: float) -> Segmentation:
    mask = (
        _main_region(probability)
        if lesion_probability >= present
        else np.zeros(probability.shape, np.bool_)
    )
    return Segmentation(
        probability=probability,
        mask=mask,
        lesion_probability=lesion_probability,
        uncertainty=_uncertainty(probability, mask),
    )


def _main_region(probability: Image) -> NDArray[np.bool_]:
    """Keep the connected region with most probability in it, fill its holes and cut thin spurs."""
    region = _heaviest(probability)
    radius = round(SPUR * float(np.sqrt(region.sum() / np.pi)))
    box = box_around(region)
    kept = np.zeros_like(probability)
    kept[box] = np.where(opened(region[box], radius), probability[box], 0)
    without = _heaviest(kept)
    return without if without.any() else region


def _heaviest(probability: Image) -> NDArray[np.bool_]:
    labels, count = ndimage.label(probability >= PRESENT)
    if count == 0:
        return np.zeros(probability.shape, np.bool_)
    mass = ndimage.sum_labels(probability, labels, np.arange(1, count + 1))
    heaviest = labels == 1 + int(np.argmax(mass))
    box = box_around(heaviest)
    heaviest[box] = ndimage.binary_fill_holes(heaviest[box])
    return np.asarray(heaviest, np.bool_)


def _uncertainty(probability: Image, mask: NDArray[np.bool_]) -> float:
    if not mask.any():
        return 1.0
    width = max(1, round(0.15 * float(np.sqrt(mask.sum()))))
    box = box_around(mask, width)
    near = ndimage.distance_transform_cdt(~mask[box], "taxicab") <= width
    p = np.clip(probability[box][near].astype(np.float64), 1e-6, 1 - 1e-6)
    return float(np.mean(-p * np.log2(p) - (1 - p) * np.log2(1 - p)))
