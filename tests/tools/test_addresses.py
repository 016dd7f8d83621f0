"""Which addresses are public: each row of the IANA's special-purpose registries, and URLs."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest

from wingman.errors import ToolError
from wingman.tools import ToolContext, webfetch
from wingman.tools.addresses import is_public

# https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry:
# the address blocks, and "Globally Reachable" (N/A, of what is no longer assigned, is no).
REGISTRIES = """
    0.0.0.0/8           no     ::1/128             no
    0.0.0.0/32          no     ::/128              no
    10.0.0.0/8          no     64:ff9b:1::/48      no
    100.64.0.0/10       no     100::/64            no
    127.0.0.0/8         no     100:0:0:1::/64      no
    169.254.0.0/16      no     2001::/32           no
    172.16.0.0/12       no     2001:1::1/128       yes
    192.0.0.0/29        no     2001:1::2/128       yes
    192.0.0.8/32        no     2001:1::3/128       yes
    192.0.0.9/32        yes    2001:2::/48         no
    192.0.0.10/32       yes    2001:3::/32         yes
    192.0.0.170/32      no     2001:4:112::/48     yes
    192.0.0.171/32      no     2001:10::/28        no
    192.0.2.0/24        no     2001:20::/28        yes
    192.31.196.0/24     yes    2001:30::/28        yes
    192.52.193.0/24     yes    2001:db8::/32       no
    192.88.99.0/24      no     2002::/16           no
    192.88.99.2/32      no     2620:4f:8000::/48   yes
    192.168.0.0/16      no     3fff::/20           no
    192.175.48.0/24     yes    5f00::/16           no
    198.18.0.0/15       no     fc00::/7            no
    198.51.100.0/24     no     fe80::/10           no
    203.0.113.0/24      no     fec0::/10           no
    240.0.0.0/4         no     ff00::/8            no
    255.255.255.255/32  no     224.0.0.0/4         no
"""
WORDS = REGISTRIES.split()
ROWS = list(zip(WORDS[::2], WORDS[1::2], strict=True))


@pytest.mark.parametrize(("block", "reachable"), ROWS)
def test_a_row_of_the_registries_holds_from_its_first_address_to_its_last(
    block: str, reachable: str
) -> None:
    network = ip_network(block)
    middle = network[network.num_addresses // 2]
    for address in (network[0], middle, network[-1]):
        assert is_public(address) == (reachable == "yes"), address


@pytest.mark.parametrize(("block", "reachable"), ROWS)
def test_beside_the_rows_is_what_the_other_rows_say(block: str, reachable: str) -> None:
    """The neighbours of a block, where no row speaks of them: IPv4 is public, IPv6 in 2000::/3."""
    network = ip_network(block)
    blocks = [ip_network(each) for each, _ in ROWS] + [
        IPv4Network("192.0.0.0/24"),
        IPv6Network("2001::/23"),
    ]
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        if not 0 <= number < 1 << network.max_prefixlen or (
            number < 1 << 32 and network.version == 6
        ):
            continue
        address = type(network[0])(number)
        if any(address in each for each in blocks if each.version == network.version):
            continue
        expected = network.version == 4 or address in IPv6Network("2000::/3")
        assert is_public(address) == expected, address


IN_DISGUISE = {
    "IPv4-mapped": "::ffff:{}",
    "IPv4-compatible": "::{}",
    "translated (SIIT)": "::ffff:0:{}",
    "NAT64": "64:ff9b::{}",
    "local NAT64": "64:ff9b:1::{}",
    "ISATAP": "2606:4700::5efe:{}",
    "ISATAP, universal": "2606:4700::200:5efe:{}",
    "ISATAP, link-local": "fe80::5efe:{}",
}


@pytest.mark.parametrize("form", IN_DISGUISE.values(), ids=IN_DISGUISE.keys())
@pytest.mark.parametrize("inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.0.8"])
def test_a_private_address_within_another_is_private(form: str, inner: str) -> None:
    assert not is_public(ip_address(form.format(inner)))


@pytest.mark.parametrize(
    "address",
    [
        "2002:7f00:1::",
        "2002:808:808::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "::8.8.8.8",
        "fe80::1%eth0",
        "2606:4700::1111%1",
        "4000::1",
        "e000::1",
        "1::1",
        "64:ff9b:2::1",
    ],
)
def test_tunnels_zones_and_what_is_not_assigned_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "192.0.1.1",
        "100.128.0.1",
        "172.32.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "64:ff9b::8.8.8.8",
        "::ffff:8.8.8.8",
        "2606:4700::5efe:8.8.8.8",
        "2001:4860:4860::8888",
        "3ffe::1",
    ],
)
def test_the_rest_is_public(address: str) -> None:
    assert is_public(ip_address(address))


LOOPBACK = [
    *("127.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "2130706433", "127.0.0.1."),
    *("１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "localhost", "LOCALHOST", "localhost."),
    *("[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[0:0:0:0:0:0:0:1]"),
    *(
        "[64:ff9b:1::7f00:1]",
        "[fec0::1]",
        "[fe80::1%25lo]",
        "[5f00::1]",
        "[3fff::1]",
        "0",
        "0.0.0.0",
    ),
    *("%31%32%37.0.0.1", "127%2e0.0.1", "192.0.0.8", "192.88.99.1", "169.254.169.254"),
]


@pytest.mark.parametrize("host", LOOPBACK)
async def test_a_host_is_refused_however_it_is_written(host: str, context: ToolContext) -> None:
    with pytest.raises(ToolError, match=r"public internet|has no address|is no URL"):
        await webfetch.call({"url": f"http://{host}:9/"}, context)


URLS = {
    "http://127.0.0.1\\@8.8.8.8/": "backslash",
    "http://8.8.8.8\\@127.0.0.1/": "backslash",
    "http:\\\\127.0.0.1/": "backslash",
    "http://8.8.8.8@127.0.0.1/": "user name",
    "http://user:secret@127.0.0.1/": "user name",
    "http://8.8.8.8:80@127.0.0.1/": "user name",
    "http://127.0.0.1\t/": "control character",
    "http://127.0.0.1\r\nHost: x/": "control character",
    "http://127.0.0.1\0.example/": "control character",
    "ht\ntp://127.0.0.1/": "control character",
    "http://127.0.0.1:0/": "no port 0",
    "http://127.0.0.1:/": "public internet",
    "http://127.0.0.1:65536/": "no port 65536",
    "http://127.0.0.1:x/": "no URL",
    "http://[::1/": "no URL",
    "http://[": "no URL",
    "http://[127.0.0.1]/": "no URL",
    "http:///etc/passwd": "only http",
    "http:127.0.0.1": "only http",
    "//127.0.0.1/": "only http",
    "javascript:alert(1)": "only http",
    "data:text/html,x": "only http",
    "http://127.0.0.1#@8.8.8.8/": "public internet",
    "http://127.0.0.1?@8.8.8.8/": "public internet",
    "http://a b/": "no URL",
    f"http://{'a' * 300}.example/": "too long",
    f"http://{'a.' * 40_000}example/": "no URL",
    f"http://{'a' * 100}.example/": "no address|no URL",
    "http://xn--/": "no address|no URL",
    "http://\udcff/": "no URL",
}


@pytest.mark.parametrize(("url", "said"), URLS.items(), ids=[ascii(url)[:40] for url in URLS])
async def test_a_url_that_programs_disagree_on_is_refused(
    url: str, said: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match=said) as refused:
        await webfetch.call({"url": url}, context)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value)) < 1_200
