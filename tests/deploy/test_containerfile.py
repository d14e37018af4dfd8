"""The container file, which is only read: no image is built here."""

import io
import json
import re
import shlex
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from scopegate.cli import SUBCOMMANDS
from scopegate.settings import PREFIX, Settings
from tests.product_files import ROOT

FILE = ROOT / "deploy" / "Containerfile"


@pytest.fixture(scope="module")
def parsed() -> DockerfileParser:
    return DockerfileParser(fileobj=io.BytesIO(FILE.read_bytes()))


def steps(parsed: DockerfileParser) -> list[tuple[str, str]]:
    """The instructions and their values, without comments."""
    return [
        (each["instruction"], each["value"])
        for each in parsed.structure
        if each["instruction"] != "COMMENT"
    ]


def last_stage(parsed: DockerfileParser) -> dict[str, list[str]]:
    """The values of each instruction after the last FROM."""
    found: dict[str, list[str]] = {}
    for instruction, value in steps(parsed):
        if instruction == "FROM":
            found = {}
        found.setdefault(instruction, []).append(value)
    return found


def health_check(parsed: DockerfileParser) -> list[str]:
    [check] = last_stage(parsed)["HEALTHCHECK"]
    command: list[str] = json.loads(check.partition(" CMD ")[2])
    return command


def test_it_is_marked_as_not_built() -> None:
    assert "neither build the image nor run it" in " ".join(
        line.lstrip("# ") for line in FILE.read_text().splitlines() if line.startswith("#")
    )


def test_the_image_is_slim_and_has_no_build_tools(parsed: DockerfileParser) -> None:
    assert len(parsed.parent_images) == 2
    assert {image.rpartition(":")[2] for image in parsed.parent_images} == {"3.11-slim"}
    final = last_stage(parsed)
    assert "pip" not in " ".join(final["RUN"])
    assert final["COPY"] == ["--from=build /opt/scopegate /opt/scopegate"]


def test_only_hashed_requirements_are_downloaded(parsed: DockerfileParser) -> None:
    [default] = [value for step, value in steps(parsed) if step == "ARG"]
    name, _, value = default.partition("=")
    installs = [
        command
        for step, commands in steps(parsed)
        if step == "RUN"
        for command in commands.split("&&")
        if "pip install" in command
    ]
    assert len(installs) == 3
    for command in installs:
        if "--no-index" in command:  # the wheel that was just built
            continue
        words = shlex.split(command)
        assert "--require-hashes" in words
        file = words[words.index("-r") + 1].replace(f"${{{name}}}", value)
        pinned = (ROOT / file).read_text()
        assert "--hash=sha256:" in pinned
        assert all("==" in line for line in pinned.splitlines() if re.match(r"[a-z]", line))
    assert value == "run"


def test_it_runs_as_a_user_that_owns_only_the_database(parsed: DockerfileParser) -> None:
    final = last_stage(parsed)
    [user] = final["USER"]
    number, _, group = user.partition(":")
    assert int(number) > 0  # a number, so that it can be checked without the image
    assert int(group) > 0
    [folder] = json.loads(final["VOLUME"][0])
    assert final["WORKDIR"] == [folder]
    [made] = final["RUN"]
    assert made == f"install -d -m 0700 -o {number} -g {group} {folder}"
    order = list(final)
    assert order.index("RUN") < order.index("USER") < order.index("ENTRYPOINT")


def test_its_settings_are_settings(parsed: DockerfileParser) -> None:
    [folder] = json.loads(last_stage(parsed)["VOLUME"][0])
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in parsed.envs.items()
        if name.startswith(PREFIX)
    }
    assert given.keys() == {"host", "db"} <= Settings.fields_by_name().keys()
    assert Path(given["db"]).parent == Path(folder)
    assert given["host"] == "0.0.0.0"  # noqa: S104 - the network of the container
    assert parsed.envs["PATH"].startswith("/opt/scopegate/bin:")


def test_signals_reach_the_gateway(parsed: DockerfileParser) -> None:
    """A shell in between would not pass them on."""
    final = last_stage(parsed)
    [program], [arguments] = final["ENTRYPOINT"], final["CMD"]
    assert json.loads(program) == ["scopegate"]
    assert json.loads(arguments) == ["serve"]
    assert "serve" in SUBCOMMANDS
    assert "STOPSIGNAL" not in final  # SIGTERM


def test_the_health_check_is_a_program_that_asks_the_gateway(parsed: DockerfileParser) -> None:
    program, option, code = health_check(parsed)
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    [port] = last_stage(parsed)["EXPOSE"]
    assert int(port) == Settings.fields_by_name()["port"].default
    assert f"'http://127.0.0.1:{port}/healthz'" in code


def test_what_the_build_needs_is_sent_to_it(parsed: DockerfileParser) -> None:
    rules = FILE.with_name("Containerfile.dockerignore").read_text().splitlines()
    assert "*" in rules
    sent = [line[1:] for line in rules if line.startswith("!")]
    assert [name for name in sent if not (ROOT / name).exists()] == []
    copied = [
        value.split()[0]
        for step, value in steps(parsed)
        if step == "COPY" and not value.startswith("--from")
    ]
    assert [name for name in copied if name != "." and name not in sent] == []
