"""What a release says of itself on a package index, where nothing is relative: links of the README, and project URLs.

Hatchling runs it with every build. CNNPROF_REPOSITORY is where the release is from, as OWNER/NAME on GitHub. Without
it, as in a checkout, the package has no URLs, and the README is as it is.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = {"Documentation": "docs/getting-started.md", "Changelog": "CHANGELOG.md", "Security": "SECURITY.md"}


class CustomMetadataHook(MetadataHookInterface):
    """Adds `urls` and `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds them to the metadata, whose version is known by then."""
        repository = os.environ.get("CNNPROF_REPOSITORY", "")
        with open(os.path.join(self.root, "README.md"), encoding="utf-8") as file:
            text = file.read()
        if repository:
            at = f"v{metadata['version']}"
            metadata["urls"] = urls(repository, at)
            text = absolute(text, repository, at)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def urls(repository: str, at: str) -> dict[str, str]:
    """The project's pages. at: a tag of the repository."""
    home = f"https://github.com/{repository}"
    pages = {name: f"{home}/blob/{at}/{path}" for name, path in PAGES.items()}
    return {"Homepage": home, "Source": home, "Issues": f"{home}/issues", **pages}


def absolute(text: str, repository: str, at: str) -> str:
    """Markdown whose links to files of the repository lead there, and whose pictures are those of the tag."""
    page = f"https://github.com/{repository}/blob/{at}/"
    picture = f"https://raw.githubusercontent.com/{repository}/{at}/"
    relative = r"(?![a-z]+:|#|/)"
    text = re.sub(rf"(!\[[^\]]*\]\(){relative}", rf"\g<1>{picture}", text)
    return re.sub(rf"((?<!\!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(){relative}", lambda found: found[1] + page, text)
