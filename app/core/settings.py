"""Settings: environment variables with the prefix HEADSTART_, read once by whoever starts a process."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(BaseSettings):
    """All that can be configured from outside. README.md lists the same names; a test compares them."""

    model_config = SettingsConfigDict(env_prefix="HEADSTART_", frozen=True, extra="ignore")

    home: Path = Field(
        default=Path("~/.local/share/headstart"),
        description="The data folder: database, data sets, runs, caches. Created with mode 0700.",
    )
    host: str = Field(default="127.0.0.1", description="Address to bind: a loopback address.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port of the web server.")
    broker_url: str = Field(
        default="",
        description="A Redis or Valkey server to use in place of the embedded one (redis://…).",
    )
    database_url: str = Field(
        default="", description="An SQLite URL in place of HOME/headstart.db (sqlite:////path)."
    )
    files: str = Field(
        default="", description="Folder (or file:// URL) for data sets and runs, in place of HOME."
    )
    models: Path = Field(default=Path(), description="A folder of model folders, offered as local:NAME.")
    cache_gb: float = Field(
        default=20,
        ge=0,
        description="Disk, in GB, for what frozen parts of models have computed; 0: none is kept.",
    )
    offline: bool = Field(
        default=False,
        description="1: never ask the model hub and fetch no data; only local models are offered.",
    )
    processes: int = Field(
        default=0,
        ge=0,
        description="Processes that train a run together; 0: one for each GPU of its slot, without a GPU one.",
    )
    slots: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Runs that are trained at a time; 0: one for each GPU, or each HEADSTART_PROCESSES GPUs, without a GPU one.",
    )
    shard: bool = Field(
        default=False,
        description="1: processes that train a run together share out the blocks of every model, not only of those that fit no one.",
    )
    behind_loopback: bool = Field(
        default=False,
        description="1: permit binding 0.0.0.0 in a container that is published on 127.0.0.1 only.",
    )

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("models")
    @classmethod
    def _models_absolute(cls, value: Path) -> Path:
        return value if value == Path() else value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _only_sqlite(cls, value: str) -> str:
        if value and not value.startswith("sqlite:///"):
            raise ValueError("only sqlite:/// URLs are supported so far")
        return value

    @field_validator("files")
    @classmethod
    def _only_folders(cls, value: str) -> str:
        path = value.removeprefix("file://")
        if value and not path.startswith("/"):
            raise ValueError("give an absolute folder or a file:/// URL; others are not supported")
        return path

    @model_validator(mode="after")
    def _bind(self) -> "Settings":
        if self.host not in LOOPBACK and not self.behind_loopback:
            raise ValueError(
                f"HEADSTART_HOST={self.host} is not a loopback address: there is no login yet, so "
                "only 127.0.0.1, localhost and ::1 are allowed"
            )
        return self

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.home / 'headstart.db'}"

    @property
    def files_root(self) -> Path:
        """The folder that holds datasets/, runs/ and cache/."""
        return Path(self.files) if self.files else self.home

    @property
    def models_dir(self) -> Path | None:
        """The folder of local models, or None when none is configured."""
        return None if self.models == Path() else self.models

    @property
    def cache_bytes(self) -> int:
        """The most that the cache of frozen parts takes on disk."""
        return int(self.cache_gb * 2**30)

    @property
    def broker(self) -> str:
        """The broker's URL for Celery and redis-py; the embedded Valkey's when none is configured."""
        return self.broker_url or f"redis+socket://{self.broker_socket}"

    @property
    def broker_socket(self) -> Path:
        """The embedded Valkey's socket. A socket path of over 100 bytes does not bind, so a deep
        data folder gets a short one in a private folder of the temp dir."""
        from app.core.files import short_socket_path

        return short_socket_path(self.home / "broker" / "valkey.sock")

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        names = {name: getattr(self, name) for name in type(self).model_fields}
        names["models"] = self.models_dir or ""
        names["offline"] = "1" if self.offline else "0"
        names["shard"] = "1" if self.shard else "0"
        names["behind_loopback"] = "1" if self.behind_loopback else "0"
        return {f"HEADSTART_{name.upper()}": str(value) for name, value in names.items()}
