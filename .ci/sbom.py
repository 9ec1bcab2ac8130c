"""The software of an environment as CycloneDX 1.5 in JSON: `python sbom.py NAME >NAME.cdx.json`.

It has the package NAME and all that is installed with it. https://cyclonedx.org/docs/1.5/json/
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from typing import Any

TOOLS = ("pip", "setuptools", "wheel")
"""What an environment has to install others, and no package needs."""


def component(package: metadata.Distribution) -> dict[str, Any]:
    """A package: its name, version, licence and the URL that package managers know it by."""
    name = canonical(package.metadata["Name"])
    purl = f"pkg:pypi/{name}@{package.version}"
    found: dict[str, Any] = {"type": "library", "name": name, "version": package.version, "purl": purl, "bom-ref": purl}
    expression = package.metadata.get("License-Expression")
    if expression is not None:
        found["licenses"] = [{"expression": expression}]
    return found


def canonical(name: str) -> str:
    """`Foo.Bar_x` → `foo-bar-x`, the name that a package index knows."""
    return re.sub(r"[-_.]+", "-", name).lower()


def sbom(name: str) -> dict[str, Any]:
    """The document. Raises PackageNotFoundError where the package is not installed."""
    own = component(metadata.distribution(name))
    found = {each["name"]: each for each in map(component, metadata.distributions())}
    components = [found[each] for each in sorted(found) if each not in (own["name"], *TOOLS)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": components,
    }


if __name__ == "__main__":
    json.dump(sbom(sys.argv[1]), sys.stdout, indent=2)
    sys.stdout.write("\n")
