"""The process of one examination: python -m app.datasets.doctor VERSION_FOLDER OUT_FOLDER, the question as JSON on stdin.

It ends when its stdin closes (whoever asked has gone) and when the data set is deleted.
"""

import json
import os
import sys
import time
from pathlib import Path

from app.datasets.apart import GONE, end_with_asker
from app.datasets.doctor.base import Asked
from app.datasets.doctor.examine import examine, say_progress

_EVERY_SECONDS = 0.3


def main() -> None:
    os.nice(10)
    version, out = map(Path, sys.argv[1:3])
    asked = json.loads(sys.stdin.readline())
    end_with_asker()
    told = 0.0

    def progress(share: float, doing: str) -> None:
        nonlocal told
        if time.monotonic() - told >= _EVERY_SECONDS:
            told = time.monotonic()
            say_progress(out, share, doing)

    try:
        examine(version, out, Asked(**{**asked, "text": tuple(asked["text"])}), progress)
    except FileNotFoundError:
        if version.exists():
            raise
        raise SystemExit(GONE) from None


if __name__ == "__main__":
    main()
