"""Every attribute of an object with its value or where it comes from, as three cases show it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from conformance.content import coded
from conformance.exam import Case, Cases
from conformance.markdown import code, table

__all__ = ["Attribute", "attribute_table", "attributes", "keyword_table", "own", "shared"]

Path = tuple[str, ...]
Values = tuple[str, ...]

MOST_VALUES = 8
LONGEST_VALUE = 90
ITS_OWN_TABLE = "ContentSequence"


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute: its keywords from the root, and where its value comes from."""

    path: Path
    vr: str
    origin: str

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Return name with one > per level, tag, VR and origin."""
        keyword = self.path[-1]
        tag = Tag(tag_for_keyword(keyword) or 0)
        name = ">" * (len(self.path) - 1) + keyword
        return code(name), f"({tag.group:04X},{tag.element:04X})", self.vr, self.origin


@dataclass(frozen=True, kw_only=True)
class _Found:
    """All values of one attribute in one object; ``codes`` tells whether they are codes."""

    vr: str
    values: Values
    codes: bool = False


def attributes(kind: str, made: Cases) -> tuple[Attribute, ...]:
    """Return the attributes of one kind of output in the order of the object."""
    found = [_values([case.objects[kind]]) for case in made]
    base = found[0]
    paths = [*base, *(path for other in found[1:] for path in other if path not in base)]
    return tuple(
        Attribute(
            path=path,
            vr=next(each[path].vr for each in found if path in each),
            origin=_origin(path, [each.get(path) for each in found], made),
        )
        for path in sorted(paths, key=lambda path: [tag_for_keyword(word) or 0 for word in path])
    )


def shared(kinds: Mapping[str, tuple[Attribute, ...]]) -> tuple[Attribute, ...]:
    """Return the attributes that all objects have alike, whole sequences only."""
    roots = [_by_root(found) for found in kinds.values()]
    alike = [root for root in roots[0] if all(each.get(root) == roots[0][root] for each in roots)]
    return tuple(attribute for root in alike for attribute in roots[0][root])


def own(found: Iterable[Attribute], common: Iterable[Attribute]) -> tuple[Attribute, ...]:
    """Return what is not common to all objects."""
    roots = {attribute.path[0] for attribute in common}
    return tuple(attribute for attribute in found if attribute.path[0] not in roots)


def attribute_table(found: Iterable[Attribute]) -> str:
    """Return attributes as a table."""
    rows = [attribute.row for attribute in found]
    return table(("Attribute", "Tag", "VR", "Value, or where it comes from"), rows)


def keyword_table(keywords: Iterable[str]) -> str:
    """Return keywords with tag, VR and name."""
    rows = []
    for keyword in keywords:
        tag = Tag(tag_for_keyword(keyword) or 0)
        place = f"({tag.group:04X},{tag.element:04X})"
        rows.append((dictionary_description(tag), place, dictionary_VR(tag)))
    return table(("Attribute", "Tag", "VR"), rows)


def _by_root(found: Iterable[Attribute]) -> dict[str, list[Attribute]]:
    roots: dict[str, list[Attribute]] = {}
    for attribute in found:
        roots.setdefault(attribute.path[0], []).append(attribute)
    return roots


def _origin(path: Path, found: Sequence[_Found | None], made: Cases) -> str:
    """Say where the values come from: what made them change between the cases."""
    base, other_source, other_result = found
    known = [each for each in found if each is not None]
    sometimes = "" if len(known) == len(found) else "; not in every object"
    if path[-1] == ITS_OWN_TABLE:
        return "the content tree, see below"
    if all(each.vr == "SQ" and not each.codes for each in known):
        empty = not any(each.values for each in known)
        return "no item" if empty else sometimes.removeprefix("; ")
    if not any("".join(each.values) for each in known):
        return "empty" + sometimes
    if source := _source(path, found, made):
        return source + sometimes
    if known[0].codes:
        return _listed(known) + sometimes
    if all(each == known[0] for each in known):
        return f"fixed: {_listed(known)}" + sometimes
    if known[0].vr == "UI":
        return _of_uids(base, made) + sometimes
    changed = (base != other_source, base != other_result)
    if known[0].vr in ("DA", "TM") and changed == (False, True):
        return "generated: time of the analysis" + sometimes
    words = {
        (True, False): "derived from the source",
        (False, True): "derived by the analysis",
        (True, True): "derived by the analysis from the source",
    }
    return words[changed] + sometimes


def _of_uids(found: _Found | None, made: Cases) -> str:
    """Say whose UIDs these are: generated, and maybe the source's among them."""
    values = found.values if found else ()
    of_source = {value for each in _of_sources(made.base).values() for value in each[0]}
    also = " and the source's" if of_source.intersection(values) else ""
    return f"generated: derived UID{also}"


def _source(path: Path, found: Sequence[_Found | None], made: Cases) -> str:
    """Name the attribute of the source that has the same values in both sources, if one has."""
    base, other_source, _ = found
    if other_source is None or (base is not None and base.values == other_source.values):
        return ""
    wanted = (base.values if base else (), other_source.values)
    keywords = [
        keyword
        for keyword, values in _of_sources(made.base, made.other_source).items()
        if values == wanted
    ]
    if path[-1] in keywords:
        return "copied from the source"
    return f"copied from the source's {code(keywords[0])}" if keywords else ""


def _of_sources(*cases: Case) -> dict[str, tuple[Values, ...]]:
    """Return the values of every keyword in each source header."""
    each: list[dict[str, Values]] = []
    for case in cases:
        found: dict[str, Values] = {}
        for path, values in _values([case.header]).items():
            found[path[-1]] = found.get(path[-1], ()) + values.values
        each.append(found)
    keywords = {keyword: None for found in each for keyword in found}
    return {keyword: tuple(found.get(keyword, ()) for found in each) for keyword in keywords}


def _listed(known: Sequence[_Found]) -> str:
    values = list(dict.fromkeys(value for each in known for value in each.values))
    shown = [value if value.startswith("(") else code(value) for value in values if value]
    more = f"; and {len(shown) - MOST_VALUES} more" if len(shown) > MOST_VALUES else ""
    return "; ".join(shown[:MOST_VALUES]) + more


def _values(items: Sequence[Dataset], path: Path = ()) -> dict[Path, _Found]:
    """Return what stands at each path in all of the items together."""
    together: dict[str, list[DataElement]] = {}
    for item in items:
        for element in item:
            together.setdefault(element.keyword, []).append(element)
    found: dict[Path, _Found] = {}
    for keyword, elements in together.items():
        found |= dict(_of_elements((*path, keyword), elements))
    return found


def _of_elements(path: Path, elements: Sequence[DataElement]) -> Iterator[tuple[Path, _Found]]:
    vr = elements[0].VR
    if vr != "SQ":
        yield path, _Found(vr=vr, values=_distinct(_text(element) for element in elements))
        return
    items = [item for element in elements for item in element.value]
    if path[-1] == ITS_OWN_TABLE:
        yield path, _Found(vr=vr, values=("items",))
    elif items and all("CodeValue" in item for item in items):
        yield path, _Found(vr=vr, values=_distinct(map(coded, items)), codes=True)
        yield from _values([_without_code(item) for item in items], path).items()
    else:
        yield path, _Found(vr=vr, values=("items",) if items else ())
        yield from _values(items, path).items()


def _without_code(item: Dataset) -> Dataset:
    rest = Dataset()
    for element in item:
        if element.VR == "SQ":
            rest.add(element)
    return rest


def _distinct(texts: Iterable[str]) -> Values:
    return tuple(dict.fromkeys(texts))


def _text(element: DataElement) -> str:
    if element.is_empty:
        return ""
    if isinstance(element.value, bytes):
        return hashlib.sha256(element.value).hexdigest()
    if element.VM > 1:
        text = "\\".join(str(value) for value in element.value)
    else:
        text = str(element.value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."
