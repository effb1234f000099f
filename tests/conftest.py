"""Settings that every test shares: the hypothesis profiles, chosen with HYPOTHESIS_PROFILE.

default   eighty examples, the same ones in every run, so that a change and not luck turns it red: hypothesis
          would else take constants from whatever modules are loaded by then
nightly   10,000 fresh examples, for `make test-nightly`
fuzz      100,000 examples, for `make fuzz`

A property test leaves `max_examples` alone, or takes a share of the default profile's (`support/examples.py`), or the
profile could not raise it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.testing
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests.support.peaks import Peaks
from tests.support.warm import warm_commands

# Tests start from nothing and leave nothing behind, but for those about the cache, which name a directory.
os.environ["POLICYENGINE_CACHE_DIR"] = ""
# Each program that a test starts would compile all that it imports, on machines that forbid to keep that.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile(
    "default",
    max_examples=80,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=10_000, derandomize=False)
settings.register_profile("fuzz", settings.get_profile("default"), max_examples=100_000, derandomize=False)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)
if PROFILE == "default":
    providers._get_local_constants = lambda: providers._local_constants


def pytest_configure(config: pytest.Config) -> None:
    if PROFILE == "default":
        config.pluginmanager.register(Peaks())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected lives on: looking through it for garbage takes a sixth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


# The command line is put together once, and not by each test that runs a command: that took most of its time.
typer.testing._get_command = cache(typer.testing._get_command)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a `policyengine` that starts at once, for a PATH."""
    with warm_commands(tmp_path_factory.mktemp("warm"), {**os.environ, "PYTHONUTF8": "1"}) as commands:
        yield commands


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class _Frozen:
    """Keeps the garbage collector from looking through what tests are made of: a service has it look at everything
    whenever one starts, and there are hundreds. What a service would freeze is garbage when it ends, so it freezes
    nothing here. What still lives when the tests of a file begin, or when many services have ended, is frozen."""

    MANY = 50

    def __init__(self) -> None:
        self._file: Path | None = None
        self._ended, self._freeze = 0, gc.freeze
        gc.freeze, gc.unfreeze = self._nothing, self._end
        # Asking how much is frozen would count it, and loading policies for a command asks that.
        gc.get_freeze_count = lambda: 1

    def begin(self, file: Path) -> None:
        if file != self._file or self._ended >= self.MANY:
            self._file, self._ended = file, 0
            _forget_services()
            gc.collect()
            if hasattr(_libc, "malloc_trim"):
                # What a few tests needed much of goes back to the machine.
                _libc.malloc_trim(0)
            self._freeze()

    def _nothing(self) -> None: ...

    def _end(self) -> None:
        self._ended += 1


def _forget_services() -> None:
    """FastAPI remembers thousands of endpoints, and with each the engine of its service."""
    models = sys.modules.get("fastapi.dependencies.models")
    for one in list(vars(models).values()) if models else ():
        if hasattr(one, "cache_clear"):
            one.cache_clear()


_frozen = _Frozen()
# Laws make many small objects that live as long as an example: at the usual 700 they are looked through all the time.
gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _frozen.begin(item.path)


def pytest_unconfigure() -> None:
    """Ends the servers of this process, if it has started any: they do not end with it."""
    if (servers := sys.modules.get("tests.state.servers")) is not None:
        servers.stop()
