"""``dicomnode demo``: what a person sees first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image


def test_the_demo_shows_what_came_back(dicomnode: Callable[..., Any], tmp_path: Path) -> None:
    done = dicomnode("demo", "--keep", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("malignant", "benign"):
        for output in ("seg", "lesion", "sr", "overlay", "keyframe", "report"):
            rows = [line.split()[:2] for line in done.stdout.splitlines()]
            assert [kind, output] in rows
        path = tmp_path / "demo" / f"report-{kind}.png"
        assert str(path) in done.stdout
        with Image.open(path) as page:
            assert page.size > (800, 600)
    for words in ("sub-region", "Probability of malignancy", "mm²", "Next", "exams show 1"):
        assert words in done.stdout
    assert "association" not in done.stdout
    assert "Traceback" not in (tmp_path / "demo" / "node.log").read_text()
