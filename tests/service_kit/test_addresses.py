"""Which addresses may be trusted."""

import pytest

from service_kit.addresses import check_address, is_loopback


@pytest.mark.parametrize("url", ["https://id.example/realms/x", "http://127.0.0.1:9000", "http://localhost/x"])
def test_an_address_over_tls_or_on_this_machine_may_be_trusted(url: str) -> None:
    assert check_address(url) == url


@pytest.mark.parametrize("url", ["http://id.example", "file:///etc/passwd", "ftp://x", "id.example", "https://", "x"])
def test_any_other_address_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        check_address(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_loopback_address_belongs_to_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.com", "", "localhost.example.com"])
def test_any_other_host_is_reachable_by_others(host: str) -> None:
    assert not is_loopback(host)
