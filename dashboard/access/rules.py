"""How this server lets people in, read once from the environment when it starts."""

import ipaddress
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from loaders.errors import BadInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
SETTINGS = {  # what `loupe serve` hands to its workers, and what docs/access.md lists
    "LOUPE_OPEN": "is_open",
    "LOUPE_READ_ONLY": "is_read_only",
    "LOUPE_HTTPS": "is_https",
    "LOUPE_HOSTS": "hosts",
    "LOUPE_PROXY_ADDRESSES": "proxies",
    "LOUPE_PROXY_USER_HEADER": "user_header",
    "LOUPE_PROXY_ROLE_HEADER": "role_header",
}


@dataclass(frozen=True)
class Rules:
    """The settings of the gate; the default is a desk of one's own."""

    is_open: bool = False
    """Let everybody in who reaches the server: to do everything without accounts, to look around with them."""

    is_read_only: bool = False
    """Let nobody change anything, whoever asks."""

    is_https: bool = False
    """Visitors come over https although the server cannot see it: cookies are Secure."""

    hosts: tuple[str, ...] = ()
    """Names beside those of this machine under which a desk without accounts may be asked for."""

    proxies: tuple[Network, ...] = field(default=())
    """Addresses whose X-Forwarded-* headers are believed, and the user header where there is one."""

    user_header: str | None = None
    """The header in which those proxies name who is logged in."""

    role_header: str | None = None
    """The header in which they give that person's role; without it the catalog's role counts."""

    def trusts(self, address: str | None) -> bool:
        """Whether a request from this address comes from a configured proxy."""
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self.proxies)


def read_rules(environment: Mapping[str, str] = os.environ) -> Rules:
    """The rules that the environment's settings ask for. Raises BadInput for one that cannot be."""
    user_header = environment.get("LOUPE_PROXY_USER_HEADER", "").strip() or None
    role_header = environment.get("LOUPE_PROXY_ROLE_HEADER", "").strip() or None
    proxies = _read_networks(environment.get("LOUPE_PROXY_ADDRESSES", ""))
    if user_header and not proxies:
        raise BadInput(
            "LOUPE_PROXY_USER_HEADER is believed only from the proxy: name its address in LOUPE_PROXY_ADDRESSES."
        )
    if role_header and not user_header:
        raise BadInput("LOUPE_PROXY_ROLE_HEADER needs LOUPE_PROXY_USER_HEADER: a role belongs to a name.")
    return Rules(
        hosts=tuple(environment.get("LOUPE_HOSTS", "").lower().replace(",", " ").split()),
        is_open=_read_switch("LOUPE_OPEN", environment),
        is_read_only=_read_switch("LOUPE_READ_ONLY", environment),
        is_https=_read_switch("LOUPE_HTTPS", environment),
        proxies=proxies,
        user_header=user_header,
        role_header=role_header,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names_this_machine(host: str, hosts: Collection[str]) -> bool:
    """Whether a Host header (name and port) is one that somebody at this machine asks with, or one of `hosts`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name in hosts


def _read_switch(name: str, environment: Mapping[str, str]) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in YES + NO:
        raise BadInput(f"{name} is a switch: wanted 1 or 0, found '{text[:40]}'.")
    return text in YES


def _read_networks(text: str) -> tuple[Network, ...]:
    found = []
    for part in text.replace(",", " ").split():
        try:
            found.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise BadInput(
                f"LOUPE_PROXY_ADDRESSES lists addresses or networks such as 10.0.0.5 or 10.0.0.0/24: found '{part[:60]}'."
            ) from error
    return tuple(found)
