"""What mkdocs does besides turning docs/*.md into pages.

The start page, the changelog and their like are files of the project's top folder, which a site
cannot reach; the reference, the command line and the notebooks are made anew at every build and
never committed, so that they cannot go stale.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import notebooks
import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
LICENCES = ["LICENSE-MIT", "LICENSE-APACHE"]
# What a browser would fetch from another host while it shows a page.
FETCHED = re.compile(
    r'<(?:script|img|iframe)[^>]*\ssrc="?https?:|<link[^>]*stylesheet[^>]*"?https?:'
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    generated = {"Reference": reference.pages(), "Notebooks": notebooks.pages()}
    config.extra["generated"] = {
        path: text for made in generated.values() for path, text in made.items()
    }
    for section in config.nav:
        for title, entries in section.items():
            if title in generated:
                section[title] = list(generated[title])
            elif isinstance(entries, list):
                section[title] = [entry for entry in entries if exists(*entry.values())]
    config.nav = [section for section in config.nav if all(section.values())]
    return config


def exists(page: str) -> bool:
    """Whether a page of the nav is there: a checkout without CONTRIBUTING.md has a site, too. What
    is renamed does not slip through: `omitted_files` reports its new name."""
    return (DOCS / page).is_file() or any(
        new == page and (ROOT / old).is_file() for old, new in TOP.items()
    )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, text in config.extra["generated"].items():
        files.append(File.generated(config, path, content=text))
    for old, new in TOP.items():
        if (path := ROOT / old).is_file():
            files.append(File.generated(config, new, content=moved(path.read_text("utf-8"))))
    style = (DOCS / "site" / "wide.css").read_text("utf-8")
    files.append(File.generated(config, "assets/wide.css", content=style))
    for name in LICENCES:
        files.append(File.generated(config, name, content=(ROOT / name).read_bytes()))
    return files


def moved(text: str) -> str:
    """A page of the top folder as one of docs/: its links begin a folder further down."""
    text = re.sub(r"\]\(docs/", "](", text)
    text = text.replace("](examples/notebooks)", f"]({next(iter(notebooks.pages()))})")
    for old, new in TOP.items():
        text = text.replace(f"]({old})", f"]({new})")
    return text


def on_post_page(output: str, page: Any, **_: Any) -> str:
    if found := FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri} would fetch from elsewhere: {found.group()}")
    return output
