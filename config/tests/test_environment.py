"""What each variable may say, and what is said when it may not.

Promises: every variable of docs/settings.md is here. On failure: the variable is in the test's id.
"""

import os
import ssl
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from kombu import Connection

from config import redis_url, secret
from config.celery import have_patience
from config.environment import Invalid, is_loopback, read

ROOT = Path(__file__).resolve().parents[2]


def start(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs manage.py in a bare environment."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "manage.py"), *arguments],
        env={"PATH": os.environ["PATH"], "HEADWATER_HOME": str(home), **variables},
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_set_means_loopback_and_a_home_in_the_project(tmp_path: Path) -> None:
    environment = read(tmp_path, {})
    assert environment.home == tmp_path / ".headwater"
    assert environment.port == 8000
    assert not environment.debug
    assert not environment.public
    assert environment.redis_url is None
    assert environment.database is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("DEBUG", "maybe"),
        ("LOG_FORMAT", "xml"),
        ("METRICS_TOKEN", "hunter2"),
        ("METRICS_TOKEN", "hunter2 hunter2 hunter2"),
        ("ACCESS_LOG", "maybe"),
        ("SECRET_KEY", " "),
        ("ALLOWED_HOSTS", "https://shop.example.com"),
        ("ALLOWED_HOSTS", "shop.example.com:8000"),
        ("ALLOWED_HOSTS", "shop.example.com/"),
        ("ALLOWED_HOSTS", ","),
        ("DATABASE_URL", "mysql://a:hunter2@b/c"),
        ("DATABASE_URL", "postgres"),
        ("DATABASE_URL", "postgres://a:hunter2@host"),
        ("DATABASE_URL", "postgres://a:hunter2@host:port/name"),
        ("CELERY_BROKER_URL", " "),
        ("DOCUMENT_ENGINE", "hunter2"),
        ("RATELIMIT_ON_FAILURE", "maybe"),
        ("RATELIMIT_WORKERS", "0"),
        ("RATELIMIT_WORKERS", "-1"),
        ("RATELIMIT_WORKERS", "two"),
        ("TRUSTED_PROXIES", "proxy.example.com"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.7/24"),
        ("TRUSTED_PROXIES", "10.0.0.7 10.0.0.8"),
        ("DATABASE_URL", "postgres://a:hunter2@host/name?bogus=1"),
        ("DATABASE_URL", "postgres://a:hunter2@host/name?pool=true"),
        ("DATABASE_URL", "postgres://a:hunter2@host/name?connect_timeout=hunter2"),
        ("DATABASE_URL", "postgres://a:hunter2@host/name?sslmode=required"),
        ("DATABASE_URL", "postgres://a:hunter2@host/name?conn_max_age=soon"),
        ("DATABASE_URL", "postgres://a:hunter2@host/name?atomic_requests=maybe"),
        ("DATABASE_URL", "sqlite:////hunter2/a.db"),
        ("DATABASE_URL", "sqlite:////tmp"),
        ("DATABASE_URL", "sqlite://a.db"),
        ("DATABASE_URL", "sqlite:////tmp/a.db?bogus=1"),
        ("DATABASE_URL", "sqlite:////tmp/a.db?timeout=hunter2"),
        ("DATABASE_URL", "sqlite:////tmp/a.db?transaction_mode=hunter2"),
        ("DATABASE_URL", f"sqlite:////tmp/{'x' * 5000}"),
        ("HEADWATER_HOME", str(ROOT / "manage.py")),
        ("HEADWATER_HOME", "~nobody-of-this-name/home"),
        ("HEADWATER_HOME", f"{ROOT}/{'x' * 5000}"),
        ("PORT", "8" * 5000),
        ("PORT", "\N{FULLWIDTH DIGIT EIGHT}"),
        ("SECRET_KEY", "not UTF-8: \udcff"),
    ],
    ids=lambda text: text[:60],
)
def test_a_bad_value_is_refused_by_name_and_not_repeated(variable: str, value: str) -> None:
    with pytest.raises(Invalid, match=f"^{variable}: ") as refusal:
        read(ROOT, {variable: value})
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("value", ["$x", "$HOME", "$$", "$PORT"])
def test_a_leading_dollar_is_a_letter_like_any_other(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = {"HOME": "/elsewhere", "x": "shop.example.com", "PORT": "8001", "": "nothing"}
    environment = read(
        tmp_path,
        {
            **elsewhere,
            "HEADWATER_HOME": value,
            "SECRET_KEY": value,
            "REDIS_URL": value,
            "CELERY_BROKER_URL": value,
        },
    )
    assert environment.home == tmp_path / value
    assert environment.secret_key == value
    assert (environment.redis_url, environment.broker_url) == (value, value)
    for variable in ("PORT", "DEBUG", "ALLOWED_HOSTS", "DATABASE_URL"):
        with pytest.raises(Invalid, match=f"^{variable}: "):
            read(tmp_path, {**elsewhere, variable: value})


def test_a_password_of_the_database_may_begin_with_a_dollar() -> None:
    database = read(ROOT, {"DATABASE_URL": "postgres://site:$HOME@host/shop"}).database
    assert database is not None
    assert database["PASSWORD"] == "$HOME"


def test_an_option_of_the_database_is_handed_on() -> None:
    url = "postgres://site@host/shop?sslmode=verify-full&connect_timeout=5&conn_max_age=60"
    database = read(ROOT, {"DATABASE_URL": url}).database
    assert database is not None
    assert database["OPTIONS"] == {"sslmode": "verify-full", "connect_timeout": 5}
    assert database["CONN_MAX_AGE"] == 60


@pytest.mark.parametrize("name", ["new.db", "there.db"])
def test_a_database_file_that_cannot_be_written_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.db").touch()
    variables = {"DATABASE_URL": f"sqlite:///{tmp_path / name}"}
    database = read(tmp_path, variables).database
    assert database is not None
    assert database["NAME"] == str(tmp_path / name)
    monkeypatch.setattr("config.environment.os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(Invalid, match=r"^DATABASE_URL: .* not writable"):
        read(tmp_path, variables)


@pytest.mark.parametrize(
    "value",
    [
        "redis",
        "http://host",
        "redis://",
        "redis://host:port",
        "redis://host:6379/first",
        "unix://relative",
        "redis+sentinel://:hunter2@host:26379",
        "redis+sentinel:///service",
        "redis+cluster://host:6379/1",
        "redis+cluster://",
        f"redis://host/{'9' * 5000}",
        f"redis://host:{'9' * 5000}/0",
    ],
    ids=lambda text: text[:60],
)
def test_a_bad_redis_url_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(Invalid, match=r"^REDIS_URL: must be redis://") as refusal:
        redis_url.parse(value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "query",
    [
        *("db=zz", "db=-1", "db=", "bogus=1", "bogus"),
        *("socket_timeout=abc", "socket_timeout=-1", "socket_timeout=nan", "socket_timeout=1e99"),
        *("max_connections=abc", "max_connections=-1", "retry=1", "decode_responses=True"),
    ],
)
@pytest.mark.parametrize("address", ["redis://:hunter2@host/0", "unix://:hunter2@/run/r"])
@pytest.mark.parametrize("variable", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_a_query_that_no_connection_could_be_made_of_is_refused(
    query: str, address: str, variable: str
) -> None:
    with pytest.raises(Invalid, match=f"^{variable}: has a query option") as refusal:
        redis_url.parse(f"{address}?{query}", variable)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        "redis://host/0?ssl_cert_reqs=none",
        "rediss://host/0?ssl_cert_reqs=maybe",
        "redis+sentinel://host/shop?db=1",
        "redis+cluster://host?socket_timeout=1",
    ],
)
def test_a_query_where_nobody_reads_it_is_refused(value: str) -> None:
    with pytest.raises(Invalid, match=r"^REDIS_URL: has a query option"):
        redis_url.parse(value)


@pytest.mark.parametrize(
    ("value", "broker"),
    [
        ("redis://host/1?socket_timeout=2&client_name=shop", "redis://host/1"),
        ("redis://:p%40ss@host/1?db=2", "redis://:p%40ss@host/2"),
        ("redis://site:x@[::1]:6380/1", "redis://site:x@[::1]:6380/1"),
        ("redis://host?username=site&password=a%2Fb", "redis://site:a%2Fb@host/0"),
        ("unix://site:x@/run/r?db=3", "redis+socket://site:x@/run/r?virtual_host=3"),
        (
            "rediss://host/1?socket_timeout=2&ssl_ca_certs=/etc/ca.pem",
            "rediss://host/1?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_cert_reqs=required",
        ),
    ],
)
def test_the_broker_is_the_same_place_without_what_celery_does_not_take(
    value: str, broker: str
) -> None:
    place = redis_url.parse(value)
    assert place.location == value
    assert place.broker_url == broker
    assert Connection(broker).transport_cls == broker.partition("://")[0].partition("+")[0]


def test_a_sentinel_address_names_all_sentinels_and_the_service() -> None:
    place = redis_url.parse("redis+sentinel://:p%40ss@one:1,two/shop/3")
    assert place.location == "redis://shop/3"
    assert place.options["SENTINELS"] == [("one", 1), ("two", 26379)]
    assert place.options["PASSWORD"] == "p@ss"
    assert place.broker_url == "sentinel://:p%40ss@one:1/3;sentinel://:p%40ss@two:26379/3"
    assert place.broker_options["master_name"] == "shop"


def test_a_cluster_address_names_the_startup_nodes_and_needs_a_broker_of_its_own() -> None:
    place = redis_url.parse("redis+cluster://one:7000,two:7001")
    assert place.options["STARTUP_NODES"] == [("one", 7000), ("two", 7001)]
    assert place.broker_url is None


def test_the_broker_of_a_sentinel_has_the_same_account() -> None:
    place = redis_url.parse("redis+sentinel://site:p%40ss@one/shop")
    assert place.options["USERNAME"] == "site"
    assert place.options["PASSWORD"] == "p@ss"
    assert place.broker_url is not None
    broker = Connection(place.broker_url)
    assert (broker.userid, broker.password, broker.hostname) == ("site", "p@ss", "one")


def test_nodes_may_be_ipv6_addresses() -> None:
    place = redis_url.parse("redis+sentinel://:p@[::1]:26379,two,[2001:db8::1]/shop")
    assert place.options["SENTINELS"] == [("::1", 26379), ("two", 26379), ("2001:db8::1", 26379)]
    assert place.broker_url == (
        "sentinel://:p@[::1]:26379/0;sentinel://:p@two:26379/0;sentinel://:p@[2001:db8::1]:26379/0"
    )
    assert Connection(place.broker_url).hostname == "::1"
    place = redis_url.parse("redis+cluster://:p@[::1]:7000,[2001:db8::1]")
    assert place.options["STARTUP_NODES"] == [("::1", 7000), ("2001:db8::1", 6379)]
    assert place.location == "redis://:p@[::1]:7000"


def test_the_broker_is_the_same_redis() -> None:
    assert redis_url.parse("redis://:x@host:1/2").broker_url == "redis://:x@host:1/2"
    assert (
        redis_url.parse("unix:///run/r?db=2").broker_url == "redis+socket:///run/r?virtual_host=2"
    )


def test_a_home_too_long_for_a_socket_asks_for_a_shorter_one(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="choose a shorter HEADWATER_HOME"):
        redis_url.embedded(tmp_path / ("x" * 108))


def test_the_broker_checks_certificates_unless_told_not_to() -> None:
    checked = Connection(redis_url.broker("rediss://host/2")[0])
    assert checked.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    trusting = Connection(redis_url.broker("rediss://host/2?ssl_cert_reqs=none")[0])
    assert trusting.ssl == {"ssl_cert_reqs": ssl.CERT_NONE}


@pytest.mark.parametrize(
    "value",
    [
        *("carrier://pigeon", "redis", "redis+cluster://one:7000", "redis://[:x"),
        *("amqp://queue?bogus=1", "amqp://queue:port"),
    ],
)
def test_a_bad_broker_is_refused_by_name(value: str) -> None:
    with pytest.raises(Invalid, match=r"^CELERY_BROKER_URL: "):
        redis_url.broker(value)


def test_a_broker_may_be_another_redis_or_amqp() -> None:
    assert redis_url.broker("unix:///run/r?db=2")[0] == "redis+socket:///run/r?virtual_host=2"
    assert redis_url.broker("amqp://queue/site") == ("amqp://queue/site", {})


@pytest.mark.parametrize("host", ["localhost", "shop.localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_loopback_is_not_public(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["*", "example.com", ".example.com", "10.0.0.1", "[2001:db8::1]"])
def test_a_host_beyond_loopback_is_public(host: str, tmp_path: Path) -> None:
    assert read(tmp_path, {"ALLOWED_HOSTS": host}).public
    assert not read(tmp_path, {"ALLOWED_HOSTS": host, "DEBUG": "on"}).public


def test_many_processes_make_one_secret_key_for_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(secret.secret_key, [tmp_path / "home"] * 64))
    assert len(keys) == 1
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret_key"]
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "8" * 5000),
        ("REDIS_URL", "redis://127.0.0.1:1/0?bogus=1"),
        ("DATABASE_URL", "postgres://site@127.0.0.1:1/site?bogus=1"),
        ("DATABASE_URL", "sqlite:////nonexistent/a.db"),
    ],
    ids=lambda text: text[:60],
)
def test_a_bad_value_is_one_line_and_exit_2(variable: str, value: str, tmp_path: Path) -> None:
    done = start(tmp_path / "home", "check", **{variable: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"{variable}: ")
    assert done.stderr.count("\n") == 1
    assert value not in done.stderr
    assert done.stdout == ""


def test_a_check_starts_no_server_and_writes_only_the_key(tmp_path: Path) -> None:
    done = start(tmp_path / "home", "check")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret_key"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_with_everything_elsewhere_no_home_is_made(tmp_path: Path) -> None:
    done = start(
        tmp_path / "home",
        "check",
        SECRET_KEY="k" * 50,
        DATABASE_URL="postgres://site@127.0.0.1:1/site",
        REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()


def test_production_settings_pass_the_deployment_check_without_a_warning(tmp_path: Path) -> None:
    done = start(
        tmp_path / "home",
        *("check", "--deploy", "--fail-level", "WARNING"),
        ALLOWED_HOSTS="shop.example.com",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_no_migration_is_missing(tmp_path: Path) -> None:
    done = start(tmp_path / "home", "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_in_production_the_session_is_bound_to_its_host_and_never_sent_plain(
    tmp_path: Path,
) -> None:
    names = ("NAME", "SECURE", "HTTPONLY", "SAMESITE", "DOMAIN", "PATH")
    values = ", ".join(f"settings.SESSION_COOKIE_{name}" for name in names)
    done = start(
        tmp_path / "home",
        *("shell", "--no-imports", "-c", f"from django.conf import settings; print({values})"),
        ALLOWED_HOSTS="shop.example.com",
    )
    assert done.stdout == "__Host-sessionid True True Lax None /\n", done.stderr


def test_limits_without_redis_are_as_the_environment_says() -> None:
    default = read(ROOT, {})
    assert (default.ratelimit_on_failure, default.ratelimit_workers) == ("local", 2)
    given = read(ROOT, {"RATELIMIT_ON_FAILURE": "Closed", "RATELIMIT_WORKERS": "8"})
    assert (given.ratelimit_on_failure, given.ratelimit_workers) == ("closed", 8)


def test_trusted_proxies_are_addresses_and_networks() -> None:
    assert read(ROOT, {}).trusted_proxies == ()
    value = "10.0.0.7, 2001:DB8::/32,"
    assert read(ROOT, {"TRUSTED_PROXIES": value}).trusted_proxies == (
        "10.0.0.7/32",
        "2001:db8::/32",
    )


def test_a_worker_waits_longer_for_its_queue_than_a_request_does() -> None:
    place = redis_url.parse("redis://127.0.0.1")
    conf = SimpleNamespace(broker_transport_options=place.broker_options)
    assert conf.broker_transport_options["socket_timeout"] < 1
    assert conf.broker_transport_options["max_retries"] == 0
    have_patience(conf=conf)
    assert conf.broker_transport_options["socket_timeout"] > 1
    assert conf.broker_transport_options["max_retries"] is None
    other = SimpleNamespace(broker_transport_options={})
    have_patience(conf=other)
    assert other.broker_transport_options == {}
