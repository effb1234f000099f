"""Where the checkout and the installed commands are."""

from __future__ import annotations

import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "policyengine"
SCRIPTS = Path(sysconfig.get_path("scripts"))
POLICYENGINE = SCRIPTS / "policyengine"
