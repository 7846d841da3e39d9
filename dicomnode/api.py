"""The method for researchers: what ``import dicomnode`` offers.

Results are for research only; what is simulated says nothing about patients.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dicomnode.config import default_models_dir
from dicomnode.errors import InputError
from dicomnode.inference.models import Models
from dicomnode.inference.models import load_models as load_models_from
from dicomnode.paths import AnyPath, files_below
from dicomnode.pipeline import Result, analyse_study
from dicomnode.recipe import Recipe
from dicomnode.simulation.cohort import recipe_for
from dicomnode.simulation.exam import SimulatedExam
from dicomnode.simulation.exam import simulate as simulate_exam
from dicomnode.simulation.recipe import Kind

__all__ = ["analyse", "load_models", "simulate"]


def analyse(
    paths: AnyPath | Iterable[AnyPath],
    *,
    models: Models | None = None,
    recipe: Recipe | None = None,
    injection: int | None = None,
) -> Result:
    """Analyse a contrast exam of the breast, as the node does.

    Parameters
    ----------
    paths : path, or several
        The DICOM files of one study, or folders that hold them.
    models : Models, optional
        Those that the package brings where none are given.
    recipe : Recipe, optional
        What a site may choose about the method.
    injection : int, optional
        Which of several injections, from 1 in order of time.

    Returns
    -------
    Result
        With ``findings``, or with None there and the ``reasons`` why: refusing is a result.

    Raises
    ------
    InputError
        There is no contrast exam in the files (each reason is in the text), or several and none
        was chosen.
    SettingsError
        There are no files.
    BundleError
        A model bundle is missing or was changed.
    """
    study = analyse_study(files_below(paths), models or load_models(), recipe or Recipe())
    results = {result.exam.injection: result for result in study.results}
    if not results:
        told = "; ".join(left.reason.text for left in study.left_out)
        raise InputError("no-exam", f"expected a contrast exam in the files, found none: {told}")
    if injection is None and len(results) == 1:
        return study.results[0]
    if injection not in results:
        asked = "none was chosen" if injection is None else f"{injection} was asked for"
        numbers = ", ".join(map(str, results))
        raise InputError("no-such-injection", f"expected an injection of {numbers}: {asked}")
    return results[injection]


def simulate(
    kind: Kind = "malignant", seed: int = 1, *, preset: str = "full", **overrides: Any
) -> SimulatedExam:
    """Simulate a contrast exam whose truth is known; the same arguments give the same exam.

    Parameters
    ----------
    kind : {"malignant", "benign"}
    seed : int
        Draws the patient.
    preset : str
        Size of panes and loop, of :data:`dicomnode.simulation.PRESETS`.
    **overrides
        Single values of the recipe by their name, such as ``frames=60``.

    Returns
    -------
    SimulatedExam
        ``loop`` and ``truth`` as arrays; :func:`dicomnode.simulation.write` makes DICOM of it.
    """
    return simulate_exam(recipe_for(kind, seed, preset=preset, **overrides))


def load_models(directory: AnyPath | None = None) -> Models:
    """Load segmenter, codebook and classifier from a folder of bundles.

    Parameters
    ----------
    directory : path, optional
        Without one, the bundles that the package brings.

    Raises
    ------
    BundleError
        One of them is missing, was changed, or is for another task.
    """
    return load_models_from(default_models_dir() if directory is None else Path(directory))
