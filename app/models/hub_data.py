"""hub:OWNER/NAME of data: which file of a data set on the hub is to be read, and its address there."""

import threading
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.core.errors import Invalid
from app.models.hub import LOOKUP_SECONDS, NoNetwork, check_id, translated
from app.models.inspect import Unusable

READABLE = (
    ".csv",
    ".tsv",
    ".jsonl",
    ".ndjson",
    ".json",
    ".parquet",
    ".xlsx",
    ".txt",
    ".conll",
    ".gz",
    ".zip",
)
# Files that stand beside the data.
_ABOUT = ("dataset_infos.json", "dataset_info.json", "state.json", "readme.txt", "license.txt")
_LISTED = 8


@dataclass(frozen=True)
class HubFile:
    url: str
    name: str


def find(source: str, endpoint: str | None = None, seconds: float = LOOKUP_SECONDS) -> HubFile:
    """The file that `source` means: OWNER/NAME, or OWNER/NAME/FILE where there are several.

    Blocks `seconds` at most. Raises Invalid (kind "url") with what to do.
    """
    owner, _, rest = source.partition("/")
    name, _, file = rest.partition("/")
    repo = f"{owner}/{name}" if name else owner
    answer: list[HubFile | Exception] = []

    def ask() -> None:
        try:
            check_id(repo)
            answer.append(_ask(repo, file, endpoint))
        except Exception as error:
            answer.append(error)

    # A daemon: a stuck name resolution must hold up neither the request nor the end of the process.
    thread = threading.Thread(target=ask, name="hub-data", daemon=True)
    thread.start()
    thread.join(seconds)
    found = answer[0] if answer else NoNetwork(f"the hub did not answer within {seconds:.0f} seconds")
    if isinstance(found, HubFile):
        return found
    if isinstance(found, NoNetwork):
        raise _fault(
            f"The data set {repo} can't be fetched: {found}. Load it down elsewhere and upload it."
        ) from found
    if isinstance(found, Unusable):
        raise _fault(
            f"hub:{repo} {str(found).replace('model hub', 'hub').replace(' of the model', '')}."
        ) from found
    raise found


def _ask(repo: str, file: str, endpoint: str | None) -> HubFile:
    from huggingface_hub import HfApi, hf_hub_url

    with translated():
        about = HfApi(endpoint=endpoint).dataset_info(repo, timeout=4)
    there = [one.rfilename for one in about.siblings or []]
    readable = [one for one in there if _is_readable(one)]
    if file and file not in there:
        raise _fault(f"hub:{repo} has no file {file!r}. {_choice(repo, readable)}")
    if not file and len(readable) != 1:
        raise _fault(
            f"hub:{repo} has {len(readable) or 'no'} files that can be read. {_choice(repo, readable)}"
        )
    chosen = file or readable[0]
    if not _is_readable(chosen):
        raise _fault(
            f"{chosen!r} of hub:{repo} is no file of a kind that Headstart fetches. {_choice(repo, readable)}"
        )
    url = hf_hub_url(repo, chosen, repo_type="dataset", revision=about.sha, endpoint=endpoint)
    return HubFile(url, PurePosixPath(chosen).name)


def _is_readable(file: str) -> bool:
    base = PurePosixPath(file).name.casefold()
    return base.endswith(READABLE) and base not in _ABOUT


def _choice(repo: str, readable: list[str]) -> str:
    if not readable:
        return f"Headstart reads {', '.join(READABLE)}."
    more = f" and {len(readable) - _LISTED} more" if len(readable) > _LISTED else ""
    return f"Name one, as hub:{repo}/{readable[0]}; there are: {', '.join(readable[:_LISTED])}{more}."


def _fault(message: str) -> Invalid:
    return Invalid(message, [{"where": "url", "message": message}], kind="url")
