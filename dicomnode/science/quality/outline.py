"""The rule on the lesion's outline."""

from dicomnode.science.quality.rule import Facts, Rule

__all__ = ["RULES"]


def _doubt(facts: Facts) -> float:
    return facts.lesion.uncertainty


RULES = (
    Rule(
        name="outline",
        code="uncertain-outline",
        measure=_doubt,
        limit=0.5,
        unit="1",
        bound="at most",
        withholds=frozenset({"answer", "size"}),
        at_best="D",
        message="doubt about the outline is {value:.2f} of 1; from {limit:.1f} on it is uncertain",
        failed_message="the outline is uncertain: doubt {value:.2f} of 1, at most {limit:.1f} "
        "expected; there may be no lesion",
    ),
)
