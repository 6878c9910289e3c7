"""hub:ID: a model of the model hub, looked up before a run and fetched by the trainer.

The web process asks only for the list of files and a few small ones, within a few seconds; the trainer downloads what
is on the allow-list and checks the folder like a local one. HF_HUB_OFFLINE, HF_ENDPOINT, HF_HOME and HF_TOKEN
are the hub library's own and hold here too.
"""

import errno
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.core.errors import Invalid, NoSpace
from app.core.files import RESERVE, megabytes
from app.models.families import tasks_for
from app.models.info import ModelInfo
from app.models.inspect import Unusable, check_config, inspect_folder, longest_input, read_json
from app.models.tokenizer_files import has_chat_template, languages

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
# The whole look-up, name resolution included, which no HTTP timeout covers.
LOOKUP_SECONDS = 6.0
_PROGRESS_SECONDS = 5.0
# A full disk or a folder of somebody else's is no matter of the network.
_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
# What a look-up reads of a model.
_SMALL = ("config.json", "tokenizer_config.json", "special_tokens_map.json")
ALLOWED = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-[0-9]*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "source.spm",
    "target.spm",
    "target_vocab.json",
    "chat_template.jinja",
]


class NoNetwork(Exception):
    """The hub can't be reached, or must not be asked."""


def check_id(name: str) -> None:
    """Raises Unusable unless `name` has the form of a hub id: name or owner/name."""
    if not _ID.fullmatch(name) or ".." in name or len(name) > 96:
        raise Unusable(
            "is no id of the model hub: write hub:NAME or hub:OWNER/NAME, as it stands on the model's page"
        )


def look_up(
    name: str, seconds: float = LOOKUP_SECONDS, endpoint: str | None = None, cache: Path | None = None
) -> ModelInfo:
    """What hub:NAME is, by its file list and the configs of model and tokenizer; nothing large is loaded.

    Blocks `seconds` at most. Raises Unusable, NoNetwork.
    """
    check_id(name)
    answer: list[ModelInfo | Exception] = []

    def ask() -> None:
        try:
            answer.append(_ask(name, endpoint, cache))
        except Exception as error:
            answer.append(error)

    # A daemon: a stuck name resolution must hold up neither the request nor the end of the process.
    thread = threading.Thread(target=ask, name="hub-lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise NoNetwork(f"the model hub did not answer within {seconds:.0f} seconds")
    if isinstance(answer[0], Exception):
        raise answer[0]
    return answer[0]


def fetch(
    info: ModelInfo,
    log: Callable[[str], None],
    offline: bool = False,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Path:
    """The absolute folder of a model, for the trainer; a hub model is downloaded, or taken from the hub's cache.

    `log` gets lines for the run's log, progress included. `offline`: the cache alone.
    Raises Invalid (kind "network" for a model that can't be had, "model" for one that is refused), NoSpace.
    """
    if info.kind != "hub":
        assert info.path is not None
        return info.path
    name = info.id.removeprefix("hub:")
    try:
        check_id(name)
        folder = _download(name, info, log, offline, endpoint, cache)
        # Snapshots hold links to the blobs beside them: both lie in the model's own folder of the cache.
        found = inspect_folder(folder, root=folder.parent.parent)
    except NoNetwork as reason:
        raise Invalid(
            f"The model {info.id} can't be fetched: {reason}. Try again with a network, or choose the starter "
            "or a local model.",
            kind="network",
        ) from reason
    except Unusable as reason:
        raise Invalid(f"The model {info.id} {reason}.", kind="model") from reason
    log(f"Model {info.id}: {found.family}, {replace(info, parameters=found.parameters).size()} parameters.")
    return folder.absolute()


def _ask(name: str, endpoint: str | None, cache: Path | None) -> ModelInfo:
    from huggingface_hub import HfApi, hf_hub_download

    with translated():
        # model_info fails at once without a network; hf_hub_download would retry for half a minute.
        about = HfApi(endpoint=endpoint).model_info(name, timeout=4, files_metadata=True)
        sizes = {file.rfilename: int(file.size or 0) for file in about.siblings or []}
        _check_files(set(sizes))
        config, tokenizer, special = (
            read_json(
                Path(
                    hf_hub_download(
                        name, file, revision=about.sha, endpoint=endpoint, cache_dir=cache, etag_timeout=4
                    )
                )
            )
            if file in sizes
            else {}
            for file in _SMALL
        )
    family = check_config(config, tokenizer)
    weights = "model.safetensors"
    shards = [weights] if weights in sizes else [file for file in sizes if _is_shard(file)]
    total = about.safetensors.total if about.safetensors is not None else None
    return ModelInfo(
        id=f"hub:{name}",
        title=name,
        family=family,
        kind="hub",
        tasks=tasks_for(family),
        parameters=total or None,
        max_length=longest_input(config, tokenizer),
        bytes=sum(sizes[file] for file in shards) or None,
        note=f"{family} · from the model hub",
        languages=languages(family, tokenizer, special, config),
        has_chat_template=has_chat_template(tokenizer, set(sizes)),
    )


def _check_files(files: set[str]) -> None:
    """Refuses by the file list what would be refused after the download."""
    if "config.json" not in files:
        raise Unusable("has no config.json on the hub, so it is no transformers model")
    if "adapter_config.json" in files:
        raise Unusable("is an adapter for another model, not a model: choose the model it belongs to")
    if not files & {"model.safetensors", "model.safetensors.index.json"}:
        raise Unusable(
            "has no safetensors weights on the hub, and other files can run code: choose a model that has "
            "model.safetensors, or convert it yourself and use it as local:NAME"
        )


def _is_shard(file: str) -> bool:
    return re.fullmatch(r"model-\d[^/]*\.safetensors", file) is not None


def _download(
    name: str,
    info: ModelInfo,
    log: Callable[[str], None],
    offline: bool,
    endpoint: str | None,
    cache: Path | None,
) -> Path:
    from huggingface_hub import constants, snapshot_download

    root = cache or Path(constants.HF_HUB_CACHE)
    if not offline and info.bytes is not None and not (root / f"models--{name.replace('/', '--')}").exists():
        _require_free(root, info)
    log(
        f"Looking for {info.id} in the cache of the model hub."
        if offline
        else f"Fetching {info.id} from the model hub."
    )
    began = time.monotonic()
    with translated():
        folder = snapshot_download(
            name,
            allow_patterns=ALLOWED,
            endpoint=endpoint,
            cache_dir=cache,
            local_files_only=offline,
            tqdm_class=_progress(log),
        )
    log(f"{info.id} is here (revision {Path(folder).name[:12]}, {time.monotonic() - began:.1f} s).")
    return Path(folder)


def _require_free(cache: Path, info: ModelInfo) -> None:
    there = cache
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    needed = (info.bytes or 0) + RESERVE
    if free < needed:
        raise NoSpace(
            f"Too little disk to fetch {info.id}: it needs {megabytes(needed)} and {megabytes(free)} are free "
            f"in {there}. Free some space and try again."
        )


def _progress(log: Callable[[str], None]) -> type[Any]:
    """A progress bar that writes log lines in place of a bar, one in five seconds."""
    import io

    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    last = [time.monotonic()]

    class LogLines(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
        monitor_interval = 0  # no thread

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts_bytes = kwargs.get("unit") == "B"
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            now = time.monotonic()
            if self.counts_bytes and self.total and now - last[0] >= _PROGRESS_SECONDS:
                last[0] = now
                log(f"Fetched {megabytes(int(self.n))} of {megabytes(int(self.total))}.")
            return shown

    return LogLines


class translated:  # noqa: N801 - reads as a verb
    """Turns the hub library's exceptions into Unusable and NoNetwork, and keeps its warnings off the terminal."""

    def __enter__(self) -> None:
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if (
            error is None
            or isinstance(error, Unusable | NoNetwork | NoSpace)
            or not isinstance(error, Exception)
        ):
            return
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            raise Unusable(
                "is gated: accept its terms on its page, set HF_TOKEN to your token, and restart Headstart"
            ) from error
        if isinstance(error, errors.RepositoryNotFoundError):
            raise Unusable("does not exist on the model hub, or is private: check its spelling") from error
        if isinstance(error, errors.HFValidationError):
            raise Unusable("is no id of the model hub: check its spelling") from error
        if isinstance(error, errors.OfflineModeIsEnabled):
            raise NoNetwork("HF_HUB_OFFLINE is set") from error
        if isinstance(error, errors.HfHubHTTPError):
            status = getattr(getattr(error, "response", None), "status_code", None)
            raise NoNetwork(
                f"the model hub answered with an error{f' ({status})' if status else ''}"
            ) from error
        if isinstance(error, OSError) and error.errno in _DISK:
            raise NoNetwork(f"the hub's cache can't be written, {error.strerror}: see HF_HOME") from error
        raise NoNetwork("the model hub can't be reached") from error
