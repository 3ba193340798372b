"""Where a baseline is read from: the disk, or a revision of a real git repository."""

import os
import shutil
import subprocess

import pytest

from covscan.errors import UsageError
from covscan.gate.baseline_source import locate


def git(folder, *words):
    environment = {
        **os.environ,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with a baseline in a folder of its own, changed since the first commit and again on the disk."""
    folder = tmp_path / "repository"
    (folder / "ci").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for content in ("first", "second"):
        (folder / "ci" / "b.json").write_text(content)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", content)
    (folder / "ci" / "b.json").write_text("third, on the disk")
    return folder


def test_a_file_on_the_disk(tmp_path):
    (tmp_path / "b.json").write_text("x")
    assert locate(str(tmp_path / "b.json"), None).content == b"x"


def test_a_file_that_is_not_there_is_absent(tmp_path):
    for path in (tmp_path / "none.json", tmp_path / "none" / "b.json"):
        found = locate(str(path), None)
        assert (found.content, found.name) == (None, str(path))
        assert "there is no file" in found.reason
    (tmp_path / "file").write_text("x")
    assert locate(str(tmp_path / "file" / "b.json"), None).content is None


@pytest.mark.parametrize("path", [".", "a\0b"])
def test_what_cannot_be_read_is_an_error(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        locate(path, None)
    assert caught.value.code == "unreadable-baseline"
    assert caught.value.found


@pytest.mark.parametrize(("revision", "content"), [("HEAD", b"second"), ("main~1", b"first"), ("HEAD^{/first}", None)])
def test_a_revision_has_its_own_file(repository, monkeypatch, revision, content):
    monkeypatch.chdir(repository / "ci")
    found = locate("b.json", revision)
    assert found.content == (content or b"first")
    assert found.name == f"{revision}:b.json"


def test_the_path_is_of_the_repository_wherever_one_stands(repository, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert locate("repository/ci/b.json", "HEAD").content == b"second"
    assert locate(str(repository / "ci" / "b.json"), "HEAD").content == b"second"
    (tmp_path / "link").symlink_to(repository / "ci")
    assert locate("link/b.json", "HEAD").content == b"second"
    monkeypatch.chdir(repository)
    assert locate("ci/../ci/b.json", "HEAD").content == b"second"


def test_a_folder_that_was_removed_is_still_in_the_revision(repository):
    shutil.rmtree(repository / "ci")
    assert locate(str(repository / "ci" / "b.json"), "HEAD").content == b"second"


def test_an_unknown_revision_is_absent(repository):
    found = locate(str(repository / "ci" / "b.json"), "origin/main")
    assert found.content is None
    assert "git knows no revision 'origin/main'" in found.reason
    assert "fetch" in found.reason


def test_a_file_that_the_revision_lacks_is_absent(repository):
    found = locate(str(repository / "ci" / "none.json"), "HEAD")
    assert (found.content, found.reason) == (None, "revision 'HEAD' holds no file 'ci/none.json'")
    found = locate(str(repository / "ci"), "HEAD")
    assert found.content is None


def test_a_folder_outside_any_repository_is_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = locate(str(tmp_path / "b.json"), "HEAD")
    assert found.content is None
    assert "is in no git repository" in found.reason
    assert "not a git repository" in found.reason


def test_a_git_that_says_nothing_is_quoted_by_its_code(tmp_path, monkeypatch):
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git ended with 3" in locate(str(tmp_path / "b.json"), "HEAD").reason


def test_a_machine_without_git_is_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert locate(str(tmp_path / "b.json"), "HEAD").reason == "git is not installed"


@pytest.mark.parametrize("revision", ["", "-x", "--output=/etc/passwd", "HEAD:ci", "a b", "a\nb", "a\0b", "\x1b[0m"])
def test_what_is_no_revision_is_refused(repository, revision):
    with pytest.raises(UsageError) as caught:
        locate(str(repository / "ci" / "b.json"), revision)
    assert caught.value.code == "bad-revision"


def test_a_revision_is_never_a_word_of_a_shell(repository):
    found = locate(str(repository / "ci" / "b.json"), "$(touch${IFS}pwned);HEAD")
    assert found.content is None
    assert not list(repository.rglob("pwned"))
