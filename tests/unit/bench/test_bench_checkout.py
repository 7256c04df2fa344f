"""The base is another commit, in a worktree of its own that is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.checkout import HERE, Checkout, NoSuchBase, ProgramFailed, checked_out

AUTHOR = ("-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, text: str) -> str:
    (repository / "service.py").write_text(text)
    git(repository, "add", "service.py")
    git(repository, *AUTHOR, "commit", "--quiet", "--no-verify", "--message", f"It says {text}")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # as a hook of git's has them
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def test_a_base_is_the_commit_that_a_revision_names(repository: Path, tmp_path: Path) -> None:
    old, new = commit(repository, "old"), commit(repository, "new")

    base = checked_out("HEAD~1", repository, tmp_path / "base")

    assert (base.commit, base.subject) == (old, "It says old")
    assert (base.root / "service.py").read_text() == "old"
    assert git(repository, "rev-parse", "HEAD") == new
    assert (repository / "service.py").read_text() == "new"


def test_a_base_is_kept_for_the_next_time_with_what_was_made_in_it(repository: Path, tmp_path: Path) -> None:
    commit(repository, "old")
    made = checked_out("HEAD", repository, tmp_path / "base").root / ".venv"
    made.mkdir()

    checked_out("HEAD", repository, tmp_path / "base")

    assert made.exists()


def test_a_base_that_was_changed_is_made_anew(repository: Path, tmp_path: Path) -> None:
    commit(repository, "old")
    changed = checked_out("HEAD", repository, tmp_path / "base").root / "service.py"
    changed.write_text("changed")

    checked_out("HEAD", repository, tmp_path / "base")

    assert changed.read_text() == "old"


def test_a_base_whose_folder_is_gone_is_made_anew_though_git_still_knows_of_it(
    repository: Path, tmp_path: Path
) -> None:
    commit(repository, "old")
    gone = checked_out("HEAD", repository, tmp_path / "base").root
    git(repository, "worktree", "lock", str(gone))  # as one is whose making was interrupted
    gone.rename(tmp_path / "elsewhere")

    base = checked_out("HEAD", repository, tmp_path / "base")

    assert (base.root / "service.py").read_text() == "old"


@pytest.mark.parametrize("revision", ["nosuch", "", "--help", "HEAD:service.py"])
def test_a_revision_that_is_no_commit_is_told_of_in_one_line(repository: Path, tmp_path: Path, revision: str) -> None:
    commit(repository, "old")

    with pytest.raises(NoSuchBase, match="is no commit of this repository") as raised:
        checked_out(revision, repository, tmp_path / "base")

    assert "\n" not in str(raised.value)


def test_a_checkouts_program_finds_that_checkouts_code_first(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions/consumer.py").write_text("print('theirs')")

    said = Checkout("base: ", tmp_path, HERE.python, "1234").said("-P", "-c", "import consumer")

    assert said == "theirs\n"


def test_a_checkouts_program_that_fails_is_told_of_without_a_folders_name(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as raised:
        Checkout("base: ", tmp_path, HERE.python, "1234").said("-c", "raise SystemExit(1)")

    assert str(raised.value) == "a program of the base failed; what it said stands above"
