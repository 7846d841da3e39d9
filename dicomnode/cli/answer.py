"""What was found in an exam, as a person reads it on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from dicomnode.cli.present import plain
from dicomnode.errors import Reason
from dicomnode.outputs.schema import (
    CheckPart,
    ContributionPart,
    DiagnosisPart,
    Document,
    LesionPart,
    Number,
    ParameterPart,
    StabilityPart,
    SubRegionPart,
)
from dicomnode.science.answer import premises, summary_line, why_line
from dicomnode.science.findings import UNRELIABLE, Contribution, Diagnosis

__all__ = ["SHOWN", "Answer", "answer_of_document", "plain_unit", "show_answer"]

SHOWN = ("PE", "TTP", "mTT", "WiR")
"""The kinetic parameters of a sub-region that a line has room for."""
REASONS = 6
"""Most of what moved the probability that is printed: as much as on the report page."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer first, then the sub-regions, then the reservations.

    Attributes
    ----------
    diagnosis : Diagnosis
        Without contributions, which are in words here.
    premises : str
        What a probability assumes.
    because : tuple of str
        What moved it, the strongest first.
    failed_checks : tuple of str
        Quality checks that were not passed.
    stability : StabilityPart, optional
        How far the sub-regions repeat; None where the lesion was not divided.
    warnings : tuple of str
        What else belongs beside the result.
    notice : str
        What a reader must know about every result.
    """

    diagnosis: Diagnosis
    premises: str
    because: tuple[str, ...]
    lesion: LesionPart
    grade: str
    subregions: tuple[SubRegionPart, ...]
    failed_checks: tuple[str, ...]
    stability: StabilityPart | None
    warnings: tuple[str, ...]
    notice: str


def answer_of_document(document: Document) -> Answer:
    """Take the answer from the ``result.json`` of an analysed exam."""
    found, lesion, quality = document.diagnosis, document.lesion, document.quality
    assert found is not None, "an analysed exam has a diagnosis"
    assert lesion is not None, "and a lesion"
    assert quality is not None, "and a quality"
    trained = sorted({model.trained_on for model in document.models})
    return Answer(
        diagnosis=_diagnosis(found),
        premises=premises(found.prevalence, trained),
        because=tuple(map(_why, found.contributions)),
        lesion=lesion,
        grade=quality.grade,
        subregions=tuple(document.subregions),
        failed_checks=tuple(_check(check) for check in quality.checks if not check.passed),
        stability=document.stability,
        warnings=tuple(document.warnings),
        notice=f"{document.notice} Models trained on: {'; '.join(trained)}.",
    )


def show_answer(out: Console, answer: Answer) -> None:
    """Print what a person wants to know first: the answer, the regions, the reservations."""
    out.print(f"[bold]{plain(summary_line(answer.diagnosis))}[/]", highlight=False)
    for line in (answer.premises, *answer.because[:REASONS]):
        if line:
            out.print(f"  {plain(line)}", highlight=False)
    lesion = answer.lesion
    axes = f"{_number(lesion.long_axis_mm, '.1f')} × {_number(lesion.short_axis_mm, '.1f')} mm"
    out.print(
        f"lesion {axes}, {_number(lesion.area_mm2)} mm²; quality {plain(answer.grade)}",
        highlight=False,
    )
    table = _table(answer.subregions, quartiles=True)
    if _width(out, table) > out.width:
        table = _table(answer.subregions, quartiles=False)
    out.print(table)
    if answer.stability is not None:
        repeated = f"{_number(answer.stability.ari, '.2f')} of 1"
        resampled = f"{answer.stability.replicates} resamplings of the loop"
        out.print(f"sub-regions repeat: {repeated} in {resampled}", highlight=False)
    for warning in answer.warnings:
        out.print(f"[yellow]warning[/]: {plain(warning)}", highlight=False)
    for check in answer.failed_checks:
        out.print(f"[yellow]check not passed[/]: {plain(check)}", highlight=False)


def plain_unit(unit: str) -> str:
    """Write a UCUM unit without its braces; "1" is no unit."""
    return "" if unit == "1" else unit.replace("{", "").replace("}", "")


def _diagnosis(found: DiagnosisPart) -> Diagnosis:
    ends = [end for end in found.interval or () if end is not None]
    return Diagnosis(
        malignant_probability=found.malignant_probability,
        interval=(ends[0], ends[1]) if len(ends) == 2 else None,
        prevalence=found.prevalence,
        decision=found.decision,
        coverage=found.coverage,
        contributions=(),
        reasons=tuple(Reason(reason.code, reason.text) for reason in found.reasons),
    )


def _why(part: ContributionPart) -> str:
    value, mean, moved = (number or 0.0 for number in (part.value, part.mean, part.contribution))
    return why_line(
        Contribution(
            feature=part.feature, value=value, mean=mean, contribution=moved, words=part.words
        )
    )


def _number(value: Number, form: str = ".3g") -> str:
    """Write three digits; thousands apart, never as a power of ten."""
    if value is None:
        return "–"
    written = format(value, form)
    return f"{float(written):,.0f}" if abs(value) >= 100 else written


def _check(check: CheckPart) -> str:
    unit = plain_unit(check.unit)
    value = "not known" if check.value is None else f"{_number(check.value)} {unit}".strip()
    return f"{check.name}: {value}, limit {_number(check.limit)} {unit}".strip()


def _width(out: Console, table: Table) -> int:
    """How wide a table is that nobody squeezes."""
    return Measurement.get(out, out.options.update(max_width=1000), table).maximum


def _table(subregions: Sequence[SubRegionPart], *, quartiles: bool) -> Table:
    units = {
        name: plain_unit(spread.unit)
        for region in subregions
        for name, spread in region.parameters.items()
    }
    title = "median (quartiles)" if quartiles else "medians; quartiles are in the report"
    table = Table(box=None, pad_edge=False, header_style="bold", caption=title)
    table.caption_justify = "left"
    table.add_column("sub-region", no_wrap=True)
    for name in ("area mm²", "share", *(f"{name} {units.get(name, '')}" for name in SHOWN)):
        table.add_column(name.strip(), justify="right", no_wrap=True)
    for region in subregions:
        numbered = region.number != UNRELIABLE
        table.add_row(
            f"{region.number if numbered else ' '} {plain(region.name)}",
            _number(region.area_mm2, ".1f"),
            _share(region.fraction),
            *(_spread(region.parameters.get(name), quartiles=quartiles) for name in SHOWN),
        )
    return table


def _share(fraction: Number) -> str:
    if fraction is None:
        return "–"
    return "<1%" if 0 < fraction < 0.005 else f"{fraction:.0%}"


def _spread(spread: ParameterPart | None, *, quartiles: bool) -> str:
    if spread is None or spread.median is None:
        return "–"
    if not quartiles:
        return _number(spread.median)
    low, high = spread.iqr
    return f"{_number(spread.median)} [dim]({_number(low)}–{_number(high)})[/]"
