import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.errors import SettingsError
from dicomnode.network.admission import Admission, AssociationRequest, plain_address
from dicomnode.network.peers import Accepted, Peer

ADMISSION = Admission(
    ae_title="NODE",
    accept=[
        Accepted(ae_title="SCANNER1", hosts=("192.0.2.7", "198.51.100.0/24")),
        Accepted(ae_title="PACS", hosts=("2001:db8::/32",)),
        Accepted(ae_title="PACS", hosts=("203.0.113.5",)),
    ],
    max_associations=4,
    max_associations_per_host=2,
)


def ask(**changed):
    request = {
        "called_ae": "NODE",
        "calling_ae": "SCANNER1",
        "host": "192.0.2.7",
        "open_total": 0,
        "open_from_host": 0,
    }
    return ADMISSION.refuse(AssociationRequest(**request | changed))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"host": "198.51.100.200"},
        {"host": "::ffff:192.0.2.7"},
        {"calling_ae": "PACS", "host": "2001:db8::1"},
        {"calling_ae": "PACS", "host": "203.0.113.5"},
        {"open_total": 3, "open_from_host": 1},
    ],
)
def test_a_named_caller_is_admitted(changed):
    assert ask(**changed) is None


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"called_ae": "OTHER"}, (1, 1, 7), "called AE title"),
        ({"calling_ae": "NOBODY"}, (1, 1, 3), "calling AE title"),
        ({"calling_ae": "scanner1"}, (1, 1, 3), "calling AE title"),
        ({"host": "192.0.2.8"}, (1, 1, 3), "from this host"),
        ({"calling_ae": "PACS"}, (1, 1, 3), "from this host"),
        ({"open_from_host": 2, "open_total": 2}, (2, 3, 2), "from this host"),
        ({"open_total": 4}, (2, 3, 2), "too many"),
    ],
)
def test_others_are_refused_with_the_standards_code(changed, code, words):
    rejection = ask(**changed)
    assert (rejection.result, rejection.source, rejection.diagnostic) == code
    assert words in rejection.reason


@given(calling_ae=st.text(max_size=20), host=st.ip_addresses())
def test_no_stranger_is_admitted(calling_ae, host):
    known = calling_ae in ("SCANNER1", "PACS")
    assert known or ask(calling_ae=calling_ae, host=str(host)) is not None


def test_an_unknown_host_name_is_a_settings_error():
    with pytest.raises(SettingsError, match=r"found 'no-such-host\.invalid'"):
        Admission(
            ae_title="NODE",
            accept=[Accepted(ae_title="A", hosts=("no-such-host.invalid",))],
            max_associations=1,
            max_associations_per_host=1,
        )


@pytest.mark.parametrize("ae_title", ["", " ", "A" * 17, "A\\B", "A\n", " A", "É"])
def test_what_is_no_ae_title_is_a_settings_error(ae_title):
    with pytest.raises(SettingsError, match="expected an AE title"):
        Peer(name="x", ae_title=ae_title, host="h", port=104)


def test_addresses_are_written_one_way():
    assert plain_address("::ffff:127.0.0.1") == "127.0.0.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
