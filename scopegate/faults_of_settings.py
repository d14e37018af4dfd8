"""The faults that the setting `fault` asks for."""

from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Fault
from scopegate.gateway.calls.registry import Registry
from scopegate.gateway.calls.token_form import without_tokens
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.settings import Settings, SettingsError


def faults_of(
    settings: Settings, kinds: FaultKinds, registry: Registry
) -> list[tuple[int | None, Fault]]:
    """Return each fault of the settings, with the app that it is for; `None` for all of them.

    Raises `SettingsError` if one is invalid.
    """
    return [_fault(text, kinds, registry) for text in settings.fault]


def _fault(text: str, kinds: FaultKinds, registry: Registry) -> tuple[int | None, Fault]:
    app_id: int | None = None
    parts = []
    for part in text.split(" "):
        name, _, value = part.partition("=")
        if name != "app":
            parts.append(part)
        elif value.isdecimal():
            app_id = int(value)
        else:
            problem = f"fault: {text!r}: app must be the number of an app"
            raise SettingsError(without_tokens(problem))
    try:
        calls = {call.name for call in registry}
        return app_id, kinds.parsed(" ".join(parts), calls)
    except ApiError as refused:
        problem = f"fault: {text!r}: {in_words(refused)}"
        raise SettingsError(without_tokens(problem)) from None


def in_words(problem: ApiError) -> str:
    """Return what is wrong with a fault: for each invalid option its name and a sentence."""
    options = "options."
    return " ".join(
        f"{name.removeprefix(options)}: {text}" if name.startswith(options) else text
        for name, text in (problem.details or {"": problem.message}).items()
    )
