"""What pip is configured with on this machine, handed on to uv, which ignores pip's configuration.

Find-links, indexes and certificates belong to the machine: they decide where a wheel can be had, never
which one it is. So they go into uv's environment and into no lock and no recipe.
"""

import configparser
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

# In this order, a later section wins.
_SECTIONS: Final = ("global", "install")
_LISTS: Final = {"find-links", "extra-index-url", "trusted-host"}


def pip_options(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Read pip's configuration files and PIP_ variables, as `pip install` would.

    Args:
        environment: The variables; its PIP_CONFIG_FILE, HOME, XDG_* and VIRTUAL_ENV say where files lie.

    Returns:
        Option name ("find-links") to its values; an option with an empty value is absent.
    """
    options: dict[str, list[str]] = {}
    for path in _files(environment):
        options |= _read_file(path)
    for name, value in environment.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            option = name.removeprefix("PIP_").lower().replace("_", "-")
            options[option] = value.split() if option in _LISTS else [value]
    return {option: values for option, values in options.items() if any(values)}


def uv_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Say in uv's variables what pip is configured with; what the user has set for uv itself stays.

    Returns:
        Variables to add to uv's environment.
    """
    options = pip_options(environment)
    found = {
        "UV_FIND_LINKS": ",".join(options.get("find-links", [])),
        "UV_DEFAULT_INDEX": _first(options, "index-url"),
        "UV_INDEX": " ".join(options.get("extra-index-url", [])),
        "UV_INSECURE_HOST": " ".join(options.get("trusted-host", [])),
        "SSL_CERT_FILE": _first(options, "cert"),
        "SSL_CLIENT_CERT": _first(options, "client-cert"),
        "ALL_PROXY": _first(options, "proxy"),
        # uv's name for "ignore the index" is an option only; this says it to every command.
        "UV_NO_INDEX": "1" if _first(options, "no-index").lower() in {"1", "true", "yes", "on"} else "",
    }
    if found["UV_INDEX"]:
        # pip takes the best version of all indexes together; uv stops at the first that has the name.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in found.items() if value and not environment.get(name)}


def index_credentials(variables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Find the logins written into index addresses: host to "user:password".

    A lock holds addresses without logins, so a download from the same host needs them again.
    """
    found: dict[str, str] = {}
    for name, value in variables:
        if name.startswith("UV_") and "INDEX" in name:
            for word in value.replace(",", " ").split():
                parts = urlsplit(word.partition("=")[2] if "=http" in word else word)
                if parts.hostname and parts.username:
                    found[parts.hostname] = f"{parts.username}:{parts.password or ''}"
    return found


def _files(environment: Mapping[str, str]) -> list[Path]:
    """Name the files that pip reads, the one that wins last."""
    chosen = environment.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    home = Path(environment.get("HOME") or os.path.expanduser("~"))
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder) / "pip/pip.conf" for folder in reversed(shared.split(":")) if folder]
    files.append(Path("/etc/pip.conf"))
    if not (chosen and os.path.exists(chosen)):
        files += [
            home / ".pip/pip.conf",
            Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
        ]
    if environment.get("VIRTUAL_ENV"):
        files.append(Path(environment["VIRTUAL_ENV"]) / "pip.conf")
    if chosen:
        files.append(Path(chosen))
    return files


def _read_file(path: Path) -> dict[str, list[str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        # pip itself would stop here; what concerns us is only where wheels may be found.
        return {}
    options: dict[str, list[str]] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            for name, value in parser.items(section):
                option = name.lower().replace("_", "-")
                options[option] = shlex.split(value, posix=False) if option in _LISTS else [value.strip()]
    return options


def _first(options: Mapping[str, list[str]], name: str) -> str:
    values = options.get(name, [])
    return values[0] if values else ""
