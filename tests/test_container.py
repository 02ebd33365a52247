"""The container's files, as far as they can be checked without a container runtime."""

import re
import shlex
from pathlib import Path

import yaml

from loupe.cli import _parser

ROOT = Path(__file__).parents[1]
INSTRUCTIONS = {
    "FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in text.splitlines() if line.strip()]


def compose() -> dict[str, dict]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for name in shlex.split(rest)[:-1]
    }
    assert {word for word, _ in instructions()} <= INSTRUCTIONS
    assert copied == kept and all((ROOT / name).exists() for name in copied)


def test_every_package_of_the_project_is_in_the_image() -> None:
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert packages is not None
    tops = {name.split(".")[0] for name in re.findall(r'"([^"]+)"', packages.group(1))} | {"pages", "assets"}
    copied = {shlex.split(rest)[0] for word, rest in instructions() if word == "COPY" and "--from" not in rest}
    assert tops <= copied


def test_the_image_serves_without_torch_as_somebody_without_rights() -> None:
    text = (ROOT / "Containerfile").read_text()
    assert "constraints.txt" in text and "[train" not in text
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users == ["loupe"]


def test_its_command_is_one_that_loupe_takes() -> None:
    import json

    words = [json.loads(rest) for word, rest in instructions() if word in ("ENTRYPOINT", "CMD")]
    assert words[0][0] == "loupe"
    parsed = _parser([]).parse_args([*words[0][1:], *words[1]])
    assert (parsed.workspace, parsed.host, parsed.log_format, parsed.workers) == ("/workspace", "0.0.0.0", "json", 2)


def test_the_services_find_each_other_and_only_the_proxy_is_reached_from_outside() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"proxy"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert set(service["networks"]) <= set(compose()["networks"])
    environment = services["loupe"]["environment"]
    assert "@database/" in environment["LOUPE_DATABASE_URL"] and "//cache:" in environment["LOUPE_CACHE_URL"]
    assert environment["LOUPE_PROXY_ADDRESSES"] == services["proxy"]["networks"]["inside"]["ipv4_address"]
    assert compose()["networks"]["inside"]["internal"] is True
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose()["volumes"] or source.startswith("${"), (name, volume)


def test_no_password_is_written_down() -> None:
    for line in (ROOT / "compose.yaml").read_text().splitlines():
        assert "PASSWORD" not in line or "${LOUPE_DATABASE_PASSWORD:?" in line
