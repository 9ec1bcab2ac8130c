"""Builds the documents as a site, with the playground in it: `python -m tests.docs.site [FOLDER]`.

Needs mkdocs-material and hatchling (`pip install -c constraints.txt -e '.[docs]'`). The playground also needs npm,
which fetches Pyodide once into build/; `--no-playground` builds the pages alone, and the playground's page then says
that it cannot run.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import yaml

import cnnprof
from cnnprof.analysis.layout import lay_out
from cnnprof.render import pictured
from cnnprof.render.html import render

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "build"
SITE = BUILD / "site"
PYODIDE = "314.0.7"
INTEGRITY = "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
"""Of the package, as the registry and every lock file of npm have it."""
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")


def documents(site: Path, root: Path = ROOT) -> None:
    """The pages of a tree. Raises RuntimeError for anything that mkdocs warns of, such as a link that leads nowhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site.resolve())]
    plain = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # Material's word on its successor
    done = subprocess.run(command, cwd=root, env=plain, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:  # not `--quiet`, with which --strict sees no warning
        raise RuntimeError(done.stdout + done.stderr)


def playground(folder: Path) -> None:
    """Adds what the page in this folder loads: Pyodide, cnnprof's wheel, PyYAML, and the policy that allows no more."""
    with tarfile.open(fileobj=io.BytesIO(pyodide())) as package:
        (folder / "pyodide").mkdir(parents=True, exist_ok=True)
        for name in RUNTIME:
            file = package.extractfile(f"package/{name}")
            assert file is not None
            (folder / "pyodide" / name).write_bytes(file.read())
    (folder / "cnnprof.whl").write_bytes(wheel())
    (folder / "yaml.zip").write_bytes(pure_yaml())
    page = folder / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("POLICY", policy()), encoding="utf-8")


def pyodide() -> bytes:
    """The npm package pyodide; kept in build/. Raises OSError or CalledProcessError without npm, ValueError for
    another file than the one that was tested."""
    kept = BUILD / f"pyodide-{PYODIDE}.tgz"
    if not kept.exists():
        BUILD.mkdir(exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is not installed: apt-get install npm, or build with --no-playground")
        subprocess.run([npm, "pack", "--silent", f"pyodide@{PYODIDE}"], cwd=BUILD, check=True, capture_output=True)
    data = kept.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != INTEGRITY:
        raise ValueError(f"{kept} is not pyodide {PYODIDE}: expected {INTEGRITY}, found {found}; delete it")
    return data


def wheel() -> bytes:
    """cnnprof, as it is installed anywhere else."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        (file,) = Path(folder).glob("*.whl")
        return file.read_bytes()


def pure_yaml() -> bytes:
    """PyYAML without its C extension, which it does without."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(Path(yaml.__file__).parent.glob("*.py")):
            archive.write(file, f"yaml/{file.name}")
    return packed.getvalue()


def policy() -> str:
    """The playground's Content-Security-Policy: files of the site alone, WebAssembly, and what a page of figures, which
    is shown in a frame and inherits the policy, allows itself."""
    page = render(pictured.document([lay_out(cnnprof.analyze("lenet5"))]))
    (style,) = re.findall(r"style-src ('sha256-\S+')", page)
    (script,) = re.findall(r"script-src ('sha256-\S+')", page)
    return (
        f"default-src 'none'; connect-src 'self'; worker-src 'self'; img-src data: blob:; style-src 'self' {style}; "
        f"script-src 'self' 'wasm-unsafe-eval' {script}; base-uri 'none'; form-action 'none'"
    )


def build(site: Path, with_playground: bool = True) -> None:
    """The whole site, in a folder that is made anew."""
    documents(site)
    if with_playground:
        playground(site / "playground")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.docs.site", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SITE, help="where to build (default: %(default)s)")
    parser.add_argument("--no-playground", action="store_true", help="build the pages alone")
    given = parser.parse_args()
    build(given.folder, not given.no_playground)
    print(given.folder)


if __name__ == "__main__":
    main()
