"""Findings of an exam as a person reads them on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from dicomnode.cli.present import plain
from dicomnode.record.schema import (
    CheckPart,
    Number,
    ParameterPart,
    Record,
    SubRegionPart,
)
from dicomnode.science.labels import UNRELIABLE

__all__ = ["SHOWN", "notice_of", "plain_unit", "show_answer"]

SHOWN = ("PE", "TTP", "mTT", "WiR")
"""The kinetic parameters of a sub-region that a line has room for."""
REASONS = 6
"""Most of what moved the probability that is printed: as much as on the report page."""


def show_answer(out: Console, record: Record) -> None:
    """Print what a person wants to know first: the answer, the regions, the reservations."""
    assert record.answer is not None, "an analysed exam has an answer"
    assert record.lesion is not None, "and a lesion"
    assert record.quality is not None, "and a quality"
    out.print(f"[bold]{plain(record.answer.line)}[/]", highlight=False)
    for line in (record.answer.premises, *record.answer.because[:REASONS]):
        if line:
            out.print(f"  {plain(line)}", highlight=False)
    lesion = record.lesion
    axes = f"{_number(lesion.long_axis_mm, '.1f')} × {_number(lesion.short_axis_mm, '.1f')} mm"
    out.print(
        f"lesion {axes}, {_number(lesion.area_mm2)} mm²; quality {plain(record.quality.grade)}",
        highlight=False,
    )
    table = _table(record.subregions, quartiles=True)
    if _width(out, table) > out.width:
        table = _table(record.subregions, quartiles=False)
    out.print(table)
    if record.stability is not None:
        repeated = f"{_number(record.stability.ari, '.2f')} of 1"
        resampled = f"{record.stability.replicates} resamplings of the loop"
        out.print(f"sub-regions repeat: {repeated} in {resampled}", highlight=False)
    for warning in record.warnings:
        out.print(f"[yellow]warning[/]: {plain(warning)}", highlight=False)
    for check in record.quality.checks:
        if not check.passed:
            out.print(f"[yellow]check not passed[/]: {plain(_check(check))}", highlight=False)


def notice_of(record: Record) -> str:
    """Say what a reader must know about every result."""
    trained = sorted({model.trained_on for model in record.models})
    return f"{record.notice} Models trained on: {'; '.join(trained)}."


def plain_unit(unit: str) -> str:
    """Write a UCUM unit without its braces; "1" is no unit."""
    return "" if unit == "1" else unit.replace("{", "").replace("}", "")


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
