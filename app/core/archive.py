"""A folder as a zip."""

import os
import shutil
import zipfile
from pathlib import Path

from app.core.files import sync


def zip_folder(folder: Path, target: Path) -> None:
    """Zips the files of `folder` without compressing (weights don't shrink), the same bytes for the same files."""
    part = target.with_name(target.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                info.external_attr = 0o644 << 16
                info.file_size = path.stat().st_size  # lets zipfile choose ZIP64 for a member over 4 GB
                with path.open("rb") as source, archive.open(info, "w") as sink:
                    shutil.copyfileobj(source, sink, 2**20)
    sync(part)
    os.replace(part, target)
