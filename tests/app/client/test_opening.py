import pytest

from app.client import ProctorClient
from app.client.errors import ClientError


@pytest.mark.parametrize(
    "url",
    ["http://host:port", "http://[::1", "http://..", "http://xn--/", "http://ex\nample", "http://\udcff"],
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ClientError, match="is not an address of a server") as caught:
        ProctorClient(url, "prk_x")
    assert caught.value.code == "bad_url"


@pytest.mark.parametrize("key", ["schlüssel", "prk_x\n", "prk x", "", "prk_\x7f", "prk_\udcff"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ClientError, match="The API key has") as caught:
        ProctorClient("http://server", key)
    assert caught.value.code == "bad_key"
    assert not key or key not in caught.value.detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks9://127.0.0.1:1"),
        ("HTTP_PROXY", "foo:bar"),
        ("HTTP_PROXY", "ftp://proxy"),
        ("NO_PROXY", "[::1"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ],
)
def test_a_variable_of_the_environment_that_is_wrong_is_told(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ClientError, match="No connection can be opened") as caught:
        ProctorClient("http://server", "prk_x")
    assert caught.value.code == "bad_environment"
    assert name in caught.value.hint
