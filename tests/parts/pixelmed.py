"""PixelMed's validators: the judge of structured reports at IHE connectathons."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZipFile

from parts.programs import installed, program
from parts.waiting import PATIENCE_S

__all__ = ["PixelMed"]

JAR = Path("/usr/share/java/pixelmed.jar")
RULES = "com/pixelmed/validate/DicomSRDescriptionsCompiled.xsl"
CONTEXT_GROUPS = "com/pixelmed/validate/DicomContextGroupsSource.xml"
ROOTS = ("Comprehensive3DSRContentItemConstraints", "TID_1500")
XSL = "{http://www.w3.org/1999/XSL/Transform}"
LIMITS = [
    "-Djdk.xml.xpathTotalOpLimit=0",
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathExprGrpLimit=0",
    "-Xss512m",
]
QUICK_TO_START = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


class PixelMed:
    """Its validators, with a folder of their own for a table that they read too often.

    The SR validator parses its table of context groups anew for every coded item and keeps it: on
    our report that takes minutes and 6 GB. So the table it finds first holds only those groups
    that its rules for TID 1500 name, which changes nothing that it says.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        table = folder / CONTEXT_GROUPS
        table.parent.mkdir(parents=True)
        with ZipFile(installed(JAR)) as jar:
            groups = ET.fromstring(jar.read(CONTEXT_GROUPS))
            wanted = _named_groups(ET.fromstring(jar.read(RULES)))
        for group in list(groups):
            if group.get("cid") not in wanted:
                groups.remove(group)
        table.write_bytes(ET.tostring(groups))

    def report_errors(self, path: Path) -> list[str]:
        """What DicomSRValidator calls an error in a report after TID 1500."""
        said = self._said("DicomSRValidator", path)
        assert "Found Root Template TID_1500 (MeasurementReport)" in said, said
        assert "Root Template Validation Complete" in said, said
        return [line for line in said if line.startswith("Error")]

    def instance_errors(self, path: Path) -> list[str]:
        """What DicomInstanceValidator calls an error in an object of a class that it knows."""
        said = self._said("DicomInstanceValidator", path)
        assert any(re.fullmatch("Found .* IOD", line) for line in said), said
        return [line for line in said if line.startswith("Error")]

    def _said(self, validator: str, path: Path) -> list[str]:
        result = subprocess.run(
            [
                *(program("java"), *LIMITS, *QUICK_TO_START),
                *("-cp", f"{self._folder}:{JAR}"),
                *(f"com.pixelmed.validate.{validator}", str(path)),
            ],
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
            env={"LC_ALL": "C.UTF-8"},
        )
        lines = result.stdout.decode().splitlines()
        assert "IOD validation complete" in lines, (lines, result.stderr.decode())
        return lines


def _named_groups(rules: ET.Element) -> set[str]:
    """Return the context groups that the templates below ROOTS name."""
    templates = {item.get("name"): item for item in rules.findall(f"{XSL}template")}
    found: set[str] = set()
    seen: set[str | None] = set()
    waiting: list[str | None] = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in templates:
            continue
        seen.add(name)
        for item in templates[name].iter():
            if item.tag == f"{XSL}call-template":
                waiting.append(item.get("name"))
            elif item.tag == f"{XSL}with-param" and "CID" in item.get("name", ""):
                found.add(item.get("select", "").strip("'"))
    return found
