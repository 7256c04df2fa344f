"""The documents for people: short where it was promised, and naming only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import ROOT

README_LINES = 160  # what a reader with five minutes takes in
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
EACH_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
MADE_BY_COMMANDS = {".local/stack.json", "sbom.cdx.json"}
PYTHON_FILES = {"app.py"} | {path.name for folder in ("functions", "infra") for path in (ROOT / folder).rglob("*.py")}
# In code style: the name of a Python file, or a path to a file or folder.
NAMED = re.compile(r"`([\w.-]+\.py|(?:[\w.-]+/)+(?:[\w.-]+\.\w+)?)`")


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, by GitHub's rule."""
    headings = [
        re.sub(r"[`*]", "", heading).strip().lower() for heading in HEADING.findall(without_code(text(document)))
    ]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def without_code(markdown: str) -> str:
    return re.sub(r"^\s*```.*?^\s*```", "", markdown, flags=re.MULTILINE | re.DOTALL)


def exists(name: str) -> bool:
    """Whether a path exists, from the project's root or from functions/. A file without a folder may be anywhere in
    functions/ or infra/."""
    if "/" in name:
        return any((root / name).exists() for root in (ROOT, ROOT / "functions"))
    return name in PYTHON_FILES


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= README_LINES


@EACH_DOCUMENT
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(without_code(text(document))):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@EACH_DOCUMENT
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    missing = {name for name in NAMED.findall(text(document)) if not exists(name)}

    assert missing <= MADE_BY_COMMANDS


def test_the_picture_of_the_demo_asks_no_server_and_names_no_machine() -> None:
    picture = text(ROOT / "docs/demo.svg")

    assert "@font-face" not in picture
    assert set(re.findall(r"https?://[^\s\"<]+", picture)) == {"http://www.w3.org/2000/svg"}
    assert str(ROOT) not in picture
