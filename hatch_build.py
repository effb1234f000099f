"""Builds what the package does without where it is not there, somewhat slower: the checks in C
(policyengine/compile/native), where there is a compiler, and the table of the parser (policyengine/syntax/table.py).
With POLICYENGINE_PURE=1 nothing is built in C, which makes a wheel for every machine."""

from __future__ import annotations

import os
import runpy
import shutil
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension

PACKAGE = "policyengine.compile.native"


class Native(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        table = tabulate(Path(self.root))
        build_data["force_include"][str(table)] = str(table.relative_to(self.root))
        if os.environ.get("POLICYENGINE_PURE") == "1":
            return
        try:
            built = build(Path(self.root))
        except Exception as error:  # noqa: BLE001 - whatever a compiler lacks, there is a way without it
            self.app.display_warning(f"without the checks in C, which could not be built: {error}")
            return
        build_data["force_include"][str(built)] = f"{PACKAGE.replace('.', '/')}/{built.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def tabulate(root: Path) -> Path:
    """The table of the parser, in its place in the source tree."""
    maker = root / "policyengine" / "syntax" / "table.py"
    made = runpy.run_path(str(maker))
    file = maker.with_name(made["FILE"])
    file.write_bytes(made["made"]((root / "grammar" / "policy.lark").read_text(encoding="utf-8")))
    return file


def build(root: Path) -> Path:
    """The built module, in its place in the source tree, where an editable install finds it."""
    folder = root.joinpath(*PACKAGE.split("."))
    built = folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    # Whatever becomes of this, what was built of other sources is not to stay.
    built.unlink(missing_ok=True)
    # Relative, so that where it was built does not get into the result.
    sources = [str(path.relative_to(root)) for path in sorted(folder.glob("*.c"))]
    extension = Extension(f"{PACKAGE}._native", sources, extra_compile_args=["-O3"])
    command = Distribution({"name": "policyengine", "ext_modules": [extension]}).get_command_obj("build_ext")
    with TemporaryDirectory() as temporary:
        command.build_temp = command.build_lib = temporary
        command.ensure_finalized()
        command.run()
        [made] = command.get_outputs()
        shutil.move(made, built)
    return built
