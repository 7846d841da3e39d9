"""The operator's page over a real ledger and spool."""

import errno
import os
import re
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from starlette.applications import Starlette

import dicomnode.web
from dicomnode.errors import Reason, SettingsError, StoreError
from dicomnode.store.ledger import Ledger
from dicomnode.store.rows import Instance, Output
from dicomnode.store.spool import Spool
from dicomnode.store.states import Tone
from dicomnode.web.app import make_app
from dicomnode.web.labels import secret_key, short_uid, study_label
from dicomnode.web.options import WebOptions
from dicomnode.web.server import Server
from dicomnode.web.views import exam_rows, exams_plain
from parts.hostile import WORDS
from parts.hostile import fill as fill_with
from parts.records import answered, refused
from parts.waiting import free_port

STUDY = "1.2.826.0.1.3680043.8.498.20250101.123456789"
KINDS = ["seg", "sr"]


def fill(ledger: Ledger) -> None:
    """An analysed exam whose objects wait, and a refused one."""
    for number, study in enumerate((STUDY, STUDY + ".2")):
        exam_id = ledger.record_instance(
            Instance(
                sop_instance_uid=f"{study}.1",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
                study_uid=study,
                series_uid=f"{study}.9",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                sha256=f"{number:064x}",
                size_bytes=2_500_000,
                path=PurePosixPath("objects/x.dcm"),
                calling_ae="<b>US1</b>",
                host="127.0.0.1",
                association_id="a",
            ),
            now=100.0,
        ).exam_id
        ledger.queue(ledger.exam(exam_id), now=101.0)
        ledger.begin(exam_id, job="j", now=102.0)
    outputs = [
        Output(
            kind=kind,
            path=PurePosixPath(f"outputs/{kind}.dcm"),
            sop_class_uid="1.2",
            sop_instance_uid=f"2.25.{number}",
            sha256="ab" * 32,
            size_bytes=1000,
        )
        for number, kind in enumerate(KINDS, start=1)
    ]
    ledger.finish(
        1,
        job="j",
        outputs=outputs,
        destinations={"pacs": KINDS},
        record=answered(
            "malignant",
            0.91,
            grade="B",
            short="malignancy 91 %, model answers malignant",
            premises="assumes half of the exams malignant",
        ),
        now=103.0,
    )
    reason = Reason("no-bolus", "expected a bolus, found <none>")
    ledger.refuse(2, job="j", record=refused(reason), now=103.0)


class Marks(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}

    def handle_data(self, data: str) -> None:
        self.text += data


def marks(page: str) -> Marks:
    found = Marks()
    found.feed(page)
    return found


def test_nothing_that_a_sender_wrote_is_markup(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    app = make_app(ledger=ledger, spool=Spool(tmp_path / "spool"), checks={}, key=b"k" * 32)
    options = WebOptions(port=free_port())
    base = f"http://127.0.0.1:{options.port}"
    with (
        closing(ledger),
        Server(app, options),
        httpx.Client(base_url=base, trust_env=False) as client,
    ):
        plain = fill_with(ledger, "US1")
        usual = {page: marks(client.get(page).text).found for page in ("/", f"/exams/{plain}")}
        for word in WORDS.values():
            number = fill_with(ledger, word)
            for page, expected in zip(("/", f"/exams/{number}"), usual.values(), strict=True):
                shown = marks(client.get(page).text)
                assert shown.found <= expected
            assert client.get(f"/api/exams/{number}").json()["study_uid"]
        assert "{{ 7 * 7 }}" in marks(client.get("/").text).text


def asked(ledger: Ledger, question: Callable[[], Any]) -> Counter[str]:
    """How often each table is read while a question is answered."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(ledger._engine, "before_cursor_execute", note)
    question()
    event.remove(ledger._engine, "before_cursor_execute", note)
    return Counter(re.findall(r"FROM (\w+)", " ".join(statements)))


def test_a_list_of_exams_reads_each_table_once_however_many_there_are(tmp_path: Path) -> None:
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        fill(ledger)
        for word in WORDS.values():
            fill_with(ledger, word)
        for rows in (
            lambda: exam_rows(ledger, b"k" * 32, limit=200),
            lambda: exams_plain(ledger, ledger.exams()),
        ):
            assert set(asked(ledger, rows).values()) == {1}


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Callable[..., httpx.Client]]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    spool = Spool(tmp_path / "spool")
    fill(ledger)
    with ExitStack() as stack:
        stack.callback(ledger.close)

        def page(**checks: Any) -> httpx.Client:
            app = make_app(
                ledger=ledger,
                spool=spool,
                checks=checks,
                key=b"k" * 32,
                scrubbed=lambda: {"intact": 7, "damaged": 1},
                names=["ceus.hospital.example"],
            )
            options = WebOptions(port=free_port())
            stack.enter_context(Server(app, options))
            base = f"http://127.0.0.1:{options.port}"
            return stack.enter_context(httpx.Client(base_url=base, trust_env=False))

        yield page


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("LocalHost", 200),
        (socket.gethostname(), 200),
        ("ceus.hospital.example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:8080", 421),
        ("", 421),
    ],
)
def test_it_answers_to_its_own_names_only(open_page: Any, host: str, status: int) -> None:
    """Else a page from elsewhere whose name is made to lead here could read it."""
    client = open_page()
    for path in ("/", "/api/exams", "/metrics", "/static/page.css"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == status, path
        assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("tone", Tone)
def test_a_tone_colours_tiles_and_badges_and_is_no_style_of_its_own(tone: Tone) -> None:
    """A class of the same name would change their size and colour, too."""
    css = (Path(dicomnode.web.__file__).parent / "static" / "page.css").read_text()
    assert not re.search(rf"(^|[\s,}}])\.{tone}\b", css)
    assert tone is Tone.DULL or f".badge.{tone} {{" in css
    assert tone is Tone.DULL or f".tile.{tone} {{" in css


def test_a_port_that_is_taken_is_said(open_page: Any) -> None:
    taken = open_page().base_url.port
    with (
        pytest.raises(SettingsError, match=f"could not serve .* on 127.0.0.1:{taken}"),
        Server(Starlette(), WebOptions(port=taken)),
    ):
        pass


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.mark.parametrize("address", ["/", "/exams/1"])
def test_an_answer_stands_with_what_it_assumes_and_without_colour(
    open_page: Any, address: str
) -> None:
    text = open_page().get(address).text
    answer = '<span class="answer">malignancy 91 %, model answers malignant</span>'
    assert f"{answer}<small>assumes half of the exams malignant</small>" in text
    assert 'class="malignant' not in text
    assert ' malignant">' not in text


def test_the_table_shows_state_quality_answer_and_deliveries(open_page: Any) -> None:
    text = open_page().get("/").text
    for shown in ("91 %", "<td>B</td>", "2 pending", "refused", "expected a bolus"):
        assert shown in text
    assert study_label(STUDY, b"k" * 32) in text


def test_whole_uids_are_not_on_the_page_and_text_is_escaped(open_page: Any) -> None:
    client = open_page()
    for address in ("/", "/exams/1", "/exams/2"):
        text = client.get(address).text
        assert STUDY not in text
        assert "<b>US1" not in text
        assert "<none>" not in text


def test_every_link_of_every_page_leads_to_something_here(open_page: Any) -> None:
    client = open_page()
    for address in ("/", "/exams/1", "/exams/2"):
        links = Links()
        links.feed(client.get(address).text)
        assert links.found
        for link in links.found:
            assert link.startswith("/")
            assert client.get(link).status_code == 200, link


_OF_MANY_DIGITS = tuple(f"{page}/{'9' * 5000}" for page in ("/exams", "/api/exams"))


def test_an_exam_that_is_not_there_is_a_404(open_page: Any) -> None:
    client = open_page()
    for address in (
        "/exams/99",
        "/api/exams/99",
        "/exams/1/report.png",
        "/exams/1/..%2Fx.png",
        *_OF_MANY_DIGITS,
    ):
        assert client.get(address).status_code == 404, address
    for limit in ("lots", "9" * 5000, "-1", "10001"):
        assert client.get(f"/api/exams?limit={limit}").status_code == 400


def test_the_api_gives_newest_first_with_reasons_and_deliveries(open_page: Any) -> None:
    client = open_page()
    refused, analysed = client.get("/api/exams").json()["exams"]
    assert refused["reasons"][0]["code"] == "no-bolus"
    assert [one["kind"] for one in analysed["deliveries"]] == KINDS
    assert client.get("/api/exams/1").json() == analysed


def test_metrics_count_states(open_page: Any) -> None:
    families = text_string_to_metric_families(open_page().get("/metrics").text)
    samples = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in families
        for sample in family.samples
    }
    assert samples["dicomnode_exams", "refused"] == 1
    assert samples["dicomnode_exams", "failed"] == 0
    assert samples["dicomnode_deliveries", "pending"] == 2
    assert samples["dicomnode_files", "damaged"] == 1
    assert samples["dicomnode_spool_free_bytes", None] > 0


def test_ready_only_when_every_check_is(open_page: Any) -> None:
    def broken() -> tuple[bool, str]:
        raise OSError("secret")

    assert open_page(disk=lambda: (True, "room")).get("/health/ready").status_code == 200
    answer = open_page(disk=lambda: (True, "room"), ledger=broken).get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["ledger"] == {"ok": False, "found": "OSError"}
    assert open_page().get("/health/live").json() == {"status": "ok"}


def test_the_browser_is_told_to_load_nothing_from_elsewhere(open_page: Any) -> None:
    policy = open_page().get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "address", ["/exams/{}", "/api/exams/{}", "/exams/{}/report.png", "/exams/{}/keyframe.png"]
)
@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_a_number_that_no_row_can_have_is_not_found(
    open_page: Any, address: str, number: int
) -> None:
    assert open_page().get(address.format(number)).status_code == 404


def test_a_ledger_that_does_not_answer_is_said_on_the_page(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    ledger = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DROP TABLE exams")
    for address in ("/", "/exams/1", "/api/exams", "/metrics"):
        answer = page.get(address)
        assert answer.status_code == 503
        assert "the ledger did not take a transaction: no such table: exams" in answer.text


def test_what_is_not_ready_says_why_where_the_words_are_ours(open_page: Any) -> None:
    def broken() -> tuple[bool, str]:
        raise StoreError("expected the disk", hint="mount it")

    checks = open_page(ledger=broken).get("/health/ready").json()["checks"]
    assert checks["ledger"] == {"ok": False, "found": "expected the disk (mount it)"}


def test_a_key_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            secret_key(tmp_path)
    assert len(secret_key(tmp_path)) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["label.key"]


def test_labels_last_and_differ_between_nodes(tmp_path: Path) -> None:
    key = secret_key(tmp_path)
    assert secret_key(tmp_path) == key
    assert (tmp_path / "label.key").stat().st_mode & 0o777 == 0o600
    assert study_label(STUDY, key) != study_label(STUDY, b"other")
    assert short_uid("1.2.3") == "1.2.3"
    assert len(short_uid(STUDY)) == 9
