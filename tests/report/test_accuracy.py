"""The pages on a classifier: nothing is cut off, nothing lies on something else."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from dicomnode.report.accuracy import Accuracy, Caption, accuracy_page, training_page
from dicomnode.report.learning_curve import LearningCurve, draw_learning_curve
from dicomnode.report.panels import Calibration, Confusion, DecisionCurve, Roc, draw_roc
from dicomnode.report.style import DPI

LINE = np.linspace(0, 1, 5)


def learning_of(exams: list[int], auc: float = 0.99, loss: float = 0.6) -> LearningCurve:
    count = len(exams)
    return LearningCurve(
        exams=np.array(exams, np.int64),
        auc=np.linspace(auc - 0.2, auc, count),
        auc_sd=np.array([0.02] * count),
        log_loss=np.linspace(loss, loss / 3, count),
        log_loss_sd=np.array([0.05] * count),
        chance=0.69,
        bundle=100,
        words="mean and SD",
    )


def accuracy_of(curves: int) -> Accuracy:
    confusion = Confusion(
        name="At probability 0.5", truths=("malignant", "benign"),
        answers=("malignant", "benign"), count=np.array([[3, 1], [0, 4]]), words="",
    )  # fmt: skip
    return Accuracy(
        caption=Caption(title="T", notice="N", conditions="C", software="S"),
        roc=tuple(
            Roc(
                name=f"reader_{n} $a_{{$", area="0.5", false_positive=LINE, true_positive=LINE,
                note="beside",
            )
            for n in range(curves)
        ),
        calibration=Calibration(
            predicted=LINE, share=LINE, low=LINE, high=LINE, count=np.arange(5), words=""
        ),
        decision_curve=DecisionCurve(thresholds=LINE, benefit={"classifier": LINE}),
        confusions=(confusion, confusion),
    )  # fmt: skip


def panels() -> tuple[Axes, Axes]:
    """Two axes as large as on the page, with room for what stands around them."""
    figure = Figure(figsize=(14, 5), dpi=DPI)
    left, right = (figure.add_axes((x / 1400, 0.16, 560 / 1400, 0.74)) for x in (92, 786))
    return left, right


def boxes(axes: Axes) -> dict[str, Bbox]:
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    axes.figure.draw(renderer)
    texts = [*axes.texts, *axes.get_xticklabels(), axes.xaxis.label]
    return {
        f"{n} {text.get_text()}": text.get_window_extent(renderer) for n, text in enumerate(texts)
    }


@pytest.mark.parametrize("exams", [[156], [25, 50, 72], [25, 50, 100, 200, 400, 800, 1600, 2300]])
@pytest.mark.parametrize(("auc", "loss"), [(1.0, 0.69), (0.6, 0.69), (0.85, 0.3)])
def test_no_two_texts_of_a_learning_curve_overlap(
    exams: list[int], auc: float, loss: float
) -> None:
    axes = panels()
    draw_learning_curve(*axes, learning_of(exams, auc, loss))
    for each in axes:
        found = boxes(each)
        sheet = each.get_window_extent()
        for name, box in found.items():
            others = [other for key, other in found.items() if key != name]
            assert box.padded(-1).count_overlaps(others) == 0, name
            assert sheet.x0 - 20 < box.x0, name
            assert box.x1 < sheet.x1 + 20, name
            assert box.y1 < sheet.y1, name


def test_a_learning_curve_marks_every_point_and_starts_at_chance() -> None:
    area, loss = panels()
    learning = learning_of([25, 50, 72], auc=0.7)
    draw_learning_curve(area, loss, learning)
    (line,) = area.lines
    assert np.array_equal(line.get_ydata(), learning.auc)
    assert np.array_equal(line.get_xdata(), learning.exams)
    assert area.get_ylim()[0] <= 0.4
    assert [learning.chance] * 2 in [list(each.get_ydata()) for each in loss.lines]
    assert "100" in area.get_xlabel()


def test_too_few_exams_are_said_to_be_so() -> None:
    axes = panels()
    draw_learning_curve(*axes, learning_of([]))
    assert [[text.get_text() for text in each.texts] for each in axes] == [
        ["too few exams to tell"]
    ] * 2
    page = training_page(accuracy_of(1), learning_of([]), ())
    assert page.shape == (1800, 1400, 3)


def test_names_with_dollars_are_written_as_they_are() -> None:
    axes, _ = panels()
    draw_roc(axes, accuracy_of(4).roc)
    box = axes.get_legend()
    assert box is not None
    assert box.get_texts()[2].get_text() == "reader_2 $a_{$  0.5\nbeside"
    training_page(accuracy_of(4), learning_of([25, 50]), ("one", "two $x_{$", "three"))


def test_both_pages_carry_the_notice_at_top_and_foot() -> None:
    found, learning = accuracy_of(2), learning_of([25, 50])
    for with_notice, without in zip(
        (accuracy_page(found), training_page(found, learning, ())),
        (accuracy_page(_silent(found)), training_page(_silent(found), learning, ())),
        strict=True,
    ):
        rows = np.flatnonzero((with_notice != without).any(axis=(1, 2)))
        assert rows.min() < 124
        assert rows.max() > len(with_notice) - 44


def _silent(found: Accuracy) -> Accuracy:
    caption = Caption(title="T", notice="", conditions="C", software="S")
    return Accuracy(**{**vars(found), "caption": caption})
