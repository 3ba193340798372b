"""The reports that renderings are tested with."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "render"))
