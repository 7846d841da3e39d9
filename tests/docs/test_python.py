"""What docs/python.md shows runs, in the order in which it stands there."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import dicomnode
from dicomnode import api
from dicomnode.errors import InputError, SettingsError
from dicomnode.pipeline import Result

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_examples_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"folder": tmp_path}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert re.search(r"\d+ mm² quality [A-D]\n", printed)
    assert re.search(r"TTP \d+\.\d s\n", printed)
    first, again = names["result"], names["again"]
    assert isinstance(first, Result)
    assert isinstance(again, Result)
    assert again.findings is not None, "the same exam, analysed again"


def test_without_a_contrast_exam_it_is_said_what_each_file_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    with pytest.raises(InputError, match=r"expected a contrast exam in the files.*notes\.txt"):
        dicomnode.analyse(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"no files in {re.escape(str(tmp_path))}"):
        dicomnode.analyse(str(tmp_path))


def test_of_several_injections_one_must_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tuple(SimpleNamespace(exam=SimpleNamespace(injection=n)) for n in (1, 2))
    study = SimpleNamespace(results=results, left_out=())
    monkeypatch.setattr(api, "analyse_study", lambda *_: study)
    monkeypatch.setattr(api, "load_models", lambda: None)
    (tmp_path / "clip.dcm").touch()
    with pytest.raises(InputError, match="expected an injection of 1, 2: none was chosen"):
        dicomnode.analyse(tmp_path)
    with pytest.raises(InputError, match="expected an injection of 1, 2: 3 was asked for"):
        dicomnode.analyse(tmp_path, injection=3)
    assert dicomnode.analyse(tmp_path, injection=2) is results[1]


def test_what_is_not_offered_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'diagnose'"):
        dicomnode.diagnose  # noqa: B018
