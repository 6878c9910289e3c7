"""Finds or installs a Chromium for the browser tests and says where it is; `make test` runs it first.

An installed one is taken; else Playwright's own is downloaded; else Debian's comes by apt-get. A missing browser
is a failure with a sentence, never a skipped test.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """The path of a Chromium: HEADSTART_CHROMIUM, Playwright's own, or one on the PATH."""
    given = os.environ.get("HEADSTART_CHROMIUM")
    if given:
        return given if Path(given).exists() else None
    return _playwrights_own() or next(filter(None, map(shutil.which, NAMES)), None)


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _install() -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "playwright", "install", "chromium"],
            timeout=300,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0 and _playwrights_own():
            return
    except subprocess.TimeoutExpired:
        pass
    if not shutil.which("apt-get"):
        return
    print("Playwright's Chromium can't be downloaded; installing Debian's", flush=True)
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "chromium"]):
        subprocess.run([*prefix, *command], env=environment, check=False, stdout=subprocess.DEVNULL)


def main() -> None:
    path = find_chromium()
    if path is None:
        _install()
        path = find_chromium()
    if path is None:
        sys.exit(
            "The browser tests need a Chromium, and none could be installed. Install one (apt-get install "
            "chromium, or playwright install chromium) or set HEADSTART_CHROMIUM to its path."
        )
    print(f"Chromium: {path}")


if __name__ == "__main__":
    main()
