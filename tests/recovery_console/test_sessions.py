"""Sessions live sealed in cookies: nothing else opens them, and not for ever."""

from http.cookies import SimpleCookie

import pytest
from starlette.responses import Response

from recovery_console.sessions import SESSION, Sealer, SessionTooLargeError, clear, session_of

SECRET = "s" * 32


def written(sealer: Sealer, value: dict[str, object], name: str = SESSION) -> dict[str, str]:
    response = Response()
    sealer.write(response, name, value, secure=True)
    return cookies_of(response)


def cookies_of(response: Response) -> dict[str, str]:
    found = {}
    for header in response.headers.getlist("set-cookie"):
        for name, morsel in SimpleCookie(header).items():
            if morsel.value:
                found[name] = morsel.value
    return found


def test_what_was_written_is_read_back_by_another_copy_of_the_console() -> None:
    cookies = written(Sealer(SECRET, 60), {"credential": "srk_1", "actor": "key:a", "role": "viewer"})

    session = session_of(Sealer(SECRET, 60).read(cookies, SESSION))

    assert session is not None
    assert (session.credential, session.actor, session.role) == ("srk_1", "key:a", "viewer")


def test_no_script_reads_the_cookie_and_no_other_site_sends_it() -> None:
    response = Response()
    Sealer(SECRET, 60).write(response, SESSION, {"credential": "srk_1"}, secure=True)

    [first, *_] = response.headers.getlist("set-cookie")
    assert "srk_1" not in first
    for part in ("HttpOnly", "SameSite=lax", "Secure", "Path=/", "Max-Age=60"):
        assert part in first


def test_a_long_token_is_split_over_cookies_that_a_browser_keeps() -> None:
    token = "t" * 8_000
    sealer = Sealer(SECRET, 60)

    cookies = written(sealer, {"credential": token})

    assert len(cookies) > 1
    assert all(len(f"{name}={text}") < 4_096 for name, text in cookies.items())
    assert sealer.read(cookies, SESSION) == {"credential": token}


def test_a_token_that_no_browser_would_keep_is_refused() -> None:
    with pytest.raises(SessionTooLargeError):
        written(Sealer(SECRET, 60), {"credential": "t" * 40_000})


def test_a_shorter_session_removes_the_rest_of_a_longer_one() -> None:
    sealer = Sealer(SECRET, 60)
    before = written(sealer, {"credential": "t" * 8_000})
    response = Response()
    sealer.write(response, SESSION, {"credential": "short"}, secure=True)

    deleted = {header.partition("=")[0] for header in response.headers.getlist("set-cookie") if "Max-Age=0" in header}
    assert set(before) - set(cookies_of(response)) <= deleted


@pytest.mark.parametrize(
    "change",
    [
        lambda cookies: {name: text[:-4] + "AAA=" for name, text in cookies.items()},
        lambda cookies: dict.fromkeys(cookies, "not sealed"),
        lambda cookies: dict.fromkeys(cookies, "é"),
        lambda _: {},
    ],
)
def test_what_was_changed_is_no_session(change) -> None:  # type: ignore[no-untyped-def]
    sealer = Sealer(SECRET, 60)

    assert sealer.read(change(written(sealer, {"credential": "srk_1"})), SESSION) is None


def test_a_value_sealed_for_one_purpose_serves_no_other() -> None:
    sealer = Sealer(SECRET, 60)
    [text] = written(sealer, {"credential": "srk_1"}, "recovery_sign_in").values()

    assert sealer.read({f"{SESSION}_0": text}, SESSION) is None


def test_without_a_secret_each_start_has_its_own() -> None:
    assert Sealer("", 60).read(written(Sealer("", 60), {"credential": "srk_1"}), SESSION) is None


def test_a_session_ends() -> None:
    times = iter([1_000.0, 1_059.9, 1_060.0])
    sealer = Sealer(SECRET, 60, clock=lambda: next(times))
    cookies = written(sealer, {"credential": "srk_1"})

    assert sealer.read(cookies, SESSION) is not None
    assert sealer.read(cookies, SESSION) is None


def test_sign_out_takes_every_cookie_away() -> None:
    response = Response()
    clear(response, SESSION, secure=True)

    assert all("Max-Age=0" in header for header in response.headers.getlist("set-cookie"))
