"""What docs/contributing.md says is enough to add a thing is enough."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parts.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing.md"

FILES = {
    "An output kind": 2,
    "A way of delivery": 2,
    "A quality rule": 1,
    "A kinetic parameter": 1,
    "A transfer syntax": 1,
    "A column of the list of exams": 2,
    "A metric": 1,
}
"""How many files each example may touch."""

CHECKS = {
    "An output kind": """
from pathlib import Path
import tempfile
from pydicom import dcmread
from dicomnode.deliver.options import CStoreOptions
from dicomnode.kinds import BY_DEFAULT, KINDS, ON_REQUEST, PICTURES
from dicomnode.outputs.making import Making
from conformance.statement import _series_table
from conformance import example
path = Path(tempfile.mkdtemp(), "peak.dcm")
KINDS["peak"].build(
    Making(exam=example.exam(), findings=example.findings(), context=example.context(), path=path,
           seg_geometry="orientation", earlier=())
)
made = dcmread(path)
assert made.SeriesDescription == "AI picture at the peak (research use)"
assert made.SeriesNumber == 9020 and made.Modality == "OT"
assert made.pixel_array.ndim == 3
assert "peak" in ON_REQUEST and "peak" in PICTURES and "peak" not in BY_DEFAULT
CStoreOptions(name="x", ae_title="X", host="h", port=104, outputs=("peak",))
assert "picture at the peak" in _series_table()
""",
    "A way of delivery": """
import tempfile
from pathlib import Path
from dicomnode.config import load_settings
from dicomnode.service.parts import transports, wants
folder = Path(tempfile.mkdtemp())
(folder / "node.toml").write_text(f'''
[node]
data_dir = "{folder}"
[[destination]]
name = "share"
transport = "folder"
directory = "{folder}/share"
outputs = ["sr"]
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "h"
port = 104
''')
(folder / "sr.dcm").write_text("result")
settings = load_settings(folder / "node.toml")
ways = transports(settings, folder)
assert wants(settings.destination)["share"] == ("sr",)
(answer,) = ways["share"].deliver([folder / "sr.dcm"]).answers
assert answer.verdict == "delivered" and (folder / "share").read_text() == "result"
(folder / "share").unlink()
(folder / "share").mkdir()
assert ways["share"].check() == "is there"
assert ways["share"].deliver([folder / "away.dcm"]).answers[0].verdict == "later"
assert type(ways["pacs"]).__name__ == "CStore"
""",
    "A quality rule": """
import numpy as np
from dicomnode.science.loop import Loop
from dicomnode.science.quality import early, refusals
grey = np.random.default_rng(1).integers(0, 200, (20, 48, 48), np.uint8)
loop = Loop(contrast=grey, bmode=None, times_s=np.arange(20.0), spacing_mm=(0.2, 0.2),
            graphics=np.zeros((48, 48), bool))
(check,) = [check for check in early(loop).checks if check.name == "duration"]
assert (check.value, check.passed) == (19.0, False)
assert check.message == "19 s recorded; a bolus comes and goes in 30 s or more"
assert "short-clip" not in {reason.code for reason in refusals(early(loop))}
""",
    "A kinetic parameter": """
import numpy as np
from dicomnode.science.kinetics import FAMILIES, PARAMETERS
from dicomnode.science.kinetics.evaluation import curve_parameters, relative
family = next(iter(FAMILIES.values()))
one = np.zeros(3)
found = curve_parameters(family, one, one + 2.0, one + 1.0)
assert np.allclose(found["WiWoR"], found["WiAUC"] / found["WoAUC"])
assert np.allclose(relative(found, found)["WiWoR"], 1.0)
assert "WiWoR" in [parameter.name for parameter in PARAMETERS]
""",
    "A transfer syntax": """
from dicomnode.dicom.decode.compression import CODECS
from dicomnode.network.syntaxes import TRANSFER_SYNTAXES
from conformance.network import syntax_table
added = "1.2.840.10008.1.2.4.92"
assert added in TRANSFER_SYNTAXES and added in CODECS and added in syntax_table()
""",
    "A column of the list of exams": """
import tempfile
from contextlib import closing
from pathlib import Path
from click.testing import CliRunner
from dicomnode.cli import cli
from dicomnode.store.ledger import Ledger
from parts.hostile import fill
folder = Path(tempfile.mkdtemp())
(folder / "node.toml").write_text(f'[node]\\ndata_dir = "{folder}"\\n')
with closing(Ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
    fill(ledger, "US1")
said = CliRunner().invoke(cli, ["exams", "list", "-c", str(folder / "node.toml")])
assert said.exit_code == 0, said.output
assert "clips" in said.output.splitlines()[0].split(), said.output
""",
    "A metric": """
import tempfile
from contextlib import closing
from pathlib import Path
from dicomnode.store.ledger import Ledger
from dicomnode.store.spool import Spool
from dicomnode.web.metrics import LedgerCollector
folder = Path(tempfile.mkdtemp())
with closing(Ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
    ledger.association_rejected(calling_ae="A", called_ae="B", host="h", reason="r", now=1.0)
    found = LedgerCollector(ledger, Spool(folder / "spool"), dict).collect()
    (metric,) = [metric for metric in found if metric.name == "dicomnode_rejections"]
    assert [sample.value for sample in metric.samples] == [1.0]
""",
}
"""What must follow from each, in a process that imports the changed copy."""


def examples() -> dict[str, str]:
    """The patches of the page by the headings they stand under."""
    sections = re.split(r"^### ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {
        section.split("\n")[0]: re.findall(r"```diff\n(.*?)```", section, re.DOTALL)
        for section in sections
    }
    return {heading: patches[0] for heading, patches in found.items() if patches}


def test_every_example_is_checked() -> None:
    assert examples().keys() == FILES.keys() == CHECKS.keys()


@pytest.mark.parametrize("heading", FILES)
def test_what_is_said_to_be_enough_is_enough(heading: str, tmp_path: Path) -> None:
    patch = examples()[heading]
    assert len(re.findall(r"^\+\+\+ b/", patch, re.MULTILINE)) == FILES[heading]
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "*.dcm")
    for folder in ("dicomnode", "conformance"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for folder in ("tests", "models"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=patch, text=True, check=True)
    where = "import dicomnode; assert dicomnode.__file__.startswith({!r}), dicomnode.__file__\n"
    done = subprocess.run(
        [sys.executable, "-c", where.format(str(tmp_path)) + CHECKS[heading]],
        cwd=tmp_path,
        env={
            "PYTHONPATH": f"{tmp_path}:{tmp_path / 'tests'}",
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
