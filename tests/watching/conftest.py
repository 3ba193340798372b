import pytest
from watched_runs import build, labelled

from covscan.cache import passing_store
from covscan.config import Settings
from covscan.config.progress import Silent
from covscan.data import open_samples
from covscan.watching.folder import Folder
from covscan.watching.following import Following
from covscan.watching.holding import holding


@pytest.fixture
def clock():
    """Seconds that pass when a test says so."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def follow(tmp_path, clock):
    """Follows ``tmp_path / "runs"``: ``follow()`` lets an interval pass, looks, and measures all that is ready."""
    place = tmp_path / "runs"
    place.mkdir()
    settings = Settings(model=build, checkpoints=(str(place),), data=labelled(), target="y", samples=64)
    said = []
    with holding() as hold, passing_store() as store:
        folder = Folder(str(place), 1.0, clock)
        following = Following(settings, open_samples(settings), store, Silent(), hold, said.append)

        def call():
            folder.look()
            clock.now += 2
            ready = folder.look().ready
            made = []
            while (one := following.advance(ready)) is not None:
                made.append(one.name)
            return made

        call.place, call.said, call.following, call.settings = place, said, following, settings
        yield call
