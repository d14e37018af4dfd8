"""Settings: what wins, what is refused, and what the refusal says."""

from pathlib import Path

import pytest

from scopegate.settings import SettingsError, load


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scopegate.toml").write_text('port = 1\nhost = "::1"\nspeed = 2.5\n')
    assert (load().port, load().host) == (1, "::1")
    monkeypatch.setenv("SCOPEGATE_PORT", "2")
    assert (load().port, load().speed) == (2, 2.5)
    assert load(port=3).port == 3
    other = tmp_path / "other.toml"
    other.write_text("port = 4\n")
    monkeypatch.delenv("SCOPEGATE_PORT")
    monkeypatch.setenv("SCOPEGATE_SETTINGS", str(other))
    assert load().port == 4


def test_lists_are_given_with_commas_or_as_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPEGATE_TRUSTED_PROXY", "10.0.0.0/8, ::1/128")
    assert load().trusted_proxy == ("10.0.0.0/8", "::1/128")
    assert load(handlers=("a", "b")).handlers == ("a", "b")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": "x"}, "port: "),
        ({"port": 70_000}, "port: "),
        ({"speed": 0}, "speed: "),
        ({"trusted_proxy": "nonsense"}, "trusted_proxy: "),
        ({"tls_cert": "a.pem"}, "set both tls_cert and tls_key"),
        ({"no_such_setting": 1}, "no_such_setting: "),
        ({"limits": "none"}, "limits: "),
    ],
)
def test_what_is_wrong_is_named(options: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(**options)


@pytest.mark.parametrize("name", ["metrics_token", "operator_token"])
@pytest.mark.parametrize(
    "token",
    ["x" * 15, "x" * 1001, "a token with spaces", "pässwörter-mit-16", "x" * 20 + "\n", ""],
)
def test_a_token_that_no_client_can_send_is_refused(name: str, token: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: must have 16 to 1000 ASCII") as refused:
        load(**{name: token})
    assert not token or token not in str(refused.value)
    assert load(**{name: "x" * 1000})


def test_a_monitor_is_no_operator() -> None:
    token = "of-more-than-16-characters"
    with pytest.raises(SettingsError, match="operator_token: must not be the metrics_token") as why:
        load(metrics_token=token, operator_token=token)
    assert token not in str(why.value)
    assert load(metrics_token=token, operator_token=token.upper())


def test_a_settings_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "scopegate.toml").write_text("port = = 1\n")
    with pytest.raises(SettingsError, match="settings file"):
        load()
    (tmp_path / "scopegate.toml").write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="prot"):
        load()


def test_limits_are_open_on_loopback_and_published_elsewhere() -> None:
    assert load().profile().general.minutely == 1_000_000
    assert load(host="localhost").on_loopback
    assert load(host="::1").on_loopback
    away = load(host="0.0.0.0")  # noqa: S104 - only looked at
    assert not away.on_loopback
    assert away.profile().general.minutely == 180
    assert load(limits="deriv", general_per_minute=7).profile().general.minutely == 7
