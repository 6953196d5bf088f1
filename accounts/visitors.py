"""Who is at the other end of a request: an address that cannot be made up, and the name of the program.

Promises: the address is that of the peer, unless the peer is one of settings.TRUSTED_PROXIES; then it is the
right-most address of X-Forwarded-For that is not a trusted proxy's. Whatever stands to the left of that was
written by the client and is not read. IPv4 in IPv6 clothes is IPv4.
On failure: a header that cannot be read counts as absent; no header of a stranger can raise anything.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import ua_parser
from django.conf import settings
from django.http import HttpRequest

from accounts.models import USER_AGENT_LENGTH

# Characters of a User-Agent header that are looked at; no honest one is longer.
READ = 512

Address = IPv4Address | IPv6Address


def address_of(request: HttpRequest) -> str:
    """The client's address; empty if there is none, as behind a Unix socket."""
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    if address is None:
        return ""
    proxies = _networks(tuple(getattr(settings, "TRUSTED_PROXIES", ())))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    while hops and _is_among(address, proxies):
        further = _parsed(hops.pop())
        if further is None:
            break
        address = further
    return str(address)


def network_of(request: HttpRequest) -> str:
    """What a stranger is counted by: the address, of IPv6 the /64; empty as `address_of`."""
    address = address_of(request)
    if ":" not in address:
        return address
    return str(ip_network((address, getattr(settings, "RATELIMIT_IPV6_MASK", 64)), strict=False))


def user_agent_of(request: HttpRequest) -> str:
    """Such as "Firefox on Linux"; empty if nobody knows the program."""
    found = ua_parser.parse(request.META.get("HTTP_USER_AGENT", "")[:READ])
    names = [part.family for part in (found.user_agent, found.os) if part is not None]
    text = " on ".join(names)
    return "".join(each for each in text if each.isprintable())[:USER_AGENT_LENGTH]


def _parsed(text: str) -> Address | None:
    """The address, without a port, brackets, a zone, or IPv6 around IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


def _is_among(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)
