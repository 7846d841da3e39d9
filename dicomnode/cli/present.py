"""How results look on a terminal: tables for people, structured lines where nobody is looking."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from dicomnode.outputs.document import DiagnosisPart, Document, Number, SubRegionPart

__all__ = ["busy", "console", "diagnosis_line", "show_document"]

NOTICE = "Research use only. Not a medical device."
SHOWN = ("PE", "TTP", "mTT", "WiR")


def console() -> Console:
    """Console of the current standard output; tables keep their width when nobody is looking."""
    found = Console()
    return found if found.is_terminal else Console(width=120, soft_wrap=True)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Say that something is going on: a spinner on a terminal, a line otherwise."""
    out = console()
    if out.is_terminal:
        with out.status(text):
            yield
    else:
        out.print(text, highlight=False)
        yield


def _number(value: Number, form: str = ".3g") -> str:
    return "–" if value is None else format(value, form)


def _parameter(region: SubRegionPart, name: str) -> str:
    spread = region.parameters.get(name)
    if spread is None or spread.median is None:
        return "–"
    low, high = spread.iqr
    return f"{spread.median:.3g} [dim]({_number(low)} to {_number(high)})[/]"


def diagnosis_line(diagnosis: DiagnosisPart) -> str:
    """Decision and probability in one line, uncertainty included."""
    if diagnosis.malignant_probability is None:
        said = "no probability given"
    else:
        said = f"probability of malignancy {diagnosis.malignant_probability:.2f}"
        if diagnosis.interval is not None:
            low, high = diagnosis.interval
            said += f", {_number(low, '.2f')} to {_number(high, '.2f')}"
    return f"[bold]{diagnosis.decision}[/] ({said})"


def _subregions(document: Document) -> Table:
    units = {
        name: spread.unit
        for region in document.subregions
        for name, spread in region.parameters.items()
    }
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("sub-region", "area mm²", "share"):
        table.add_column(title, justify="left" if title == "sub-region" else "right")
    for name in SHOWN:
        table.add_column(f"{name} {units.get(name, '')}".strip().replace("[", r"\["))
    for region in document.subregions:
        share = "–" if region.fraction is None else f"{region.fraction:.0%}"
        table.add_row(
            f"{region.number} {region.name}" if region.number != 255 else region.name,
            _number(region.area_mm2, ".1f"),
            share,
            *(_parameter(region, name) for name in SHOWN),
        )
    return table


def show_document(out: Console, document: Document) -> None:
    """Print what a person wants to know first: the answer, the regions, the reservations."""
    if document.status == "refused":
        out.print("[bold yellow]refused[/]: the exam was read and must not be analysed")
        for reason in document.reasons:
            out.print(f"  {reason.code}: {reason.text}", highlight=False)
        return
    assert document.diagnosis is not None
    assert document.lesion is not None
    assert document.quality is not None
    out.print(diagnosis_line(document.diagnosis), highlight=False)
    for reason in document.diagnosis.reasons:
        out.print(f"  {reason.text}", highlight=False)
    lesion = document.lesion
    axes = f"{_number(lesion.long_axis_mm, '.1f')} × {_number(lesion.short_axis_mm, '.1f')} mm"
    out.print(
        f"lesion {axes}, {_number(lesion.area_mm2, '.1f')} mm²; quality {document.quality.grade}",
        highlight=False,
    )
    out.print(_subregions(document))
    for check in document.quality.checks:
        if not check.passed:
            out.print(
                f"[yellow]check not passed[/]: {check.name} {_number(check.value)} {check.unit} "
                f"(limit {_number(check.limit)})",
                highlight=False,
            )
    trained = sorted({model.trained_on for model in document.models})
    out.print(f"[dim]{NOTICE} Models trained on: {'; '.join(trained)}.[/]", highlight=False)
