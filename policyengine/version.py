"""The version of this policyengine, its name in a package index, and other packages of the same name.

The package index has another `policyengine`, with the same import name and the same command. The one that is installed
last overwrites the files of the other.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

VERSION = "0.1.0"
DISTRIBUTION = "policyengine-ai"
OTHER = "policyengine"


def other_package() -> str:
    """What to say where the other package is installed beside this one; empty where it is not."""
    try:
        other = distribution(OTHER)
    except PackageNotFoundError:
        return ""
    # One that brings no files under our name is this one, under the name that it had before.
    if not any(str(path) == f"{OTHER}/__init__.py" for path in other.files or ()):
        return ""
    what = f"another package named `{OTHER}` ({other.version}) is installed over this one"
    return f"{what}: `pip uninstall {OTHER}`, then install `{DISTRIBUTION}` again"
