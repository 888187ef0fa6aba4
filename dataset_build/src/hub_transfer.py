"""Single files from and to a repository of the Hugging Face hub, its refusals said in one line.

Nothing is transferred but what is named: neither direction ever takes a whole folder.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.hub import call_hub, without_tokens

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
Kind = Literal["model", "dataset"]

#: Seconds in which the hub has to answer about one small file; less than `call_hub` waits, so that the library can
#: still fall back on what it has.
_ANSWER_S = 6.0
#: Seconds a single file may take.
_FILE_S = 3600.0
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository on the hub.

    Attributes:
        kind: "model" or "dataset".
        name: `org/name`.
        revision: A branch, tag or commit; None means the newest.
        what: What it holds, for messages ("router").
    """

    kind: Kind
    name: str
    revision: str | None
    what: str

    @classmethod
    def parse(cls, text: str, kind: Kind, what: str, revision: str | None = None) -> "HubRepository":
        """Return what `org/name`, `hf:org/name` or `hf:org/name@revision` names.

        Raises:
            ConfigError: it is none of these, or names another revision than `revision`.
        """
        name, at, own = text.removeprefix("hf:").partition("@")
        if _NAME.fullmatch(name) is None or ".." in name or (at and not own):
            raise ConfigError(f"{text!r} is no name on the hub; expected org/name, or hf:org/name@revision.")
        if own and revision not in (None, own):
            raise ConfigError(f"{text!r} names the revision {own!r}, and {revision!r} was given besides; give one.")
        return cls(kind, name, own or revision, what)

    def fetch(self, file: str) -> Path:
        """Return a small file of the repository, out of the hub's cache where that has it and the hub is away.

        Returns:
            Its place in the cache; the folder it lies in is named after the commit.

        Raises:
            ConfigError: there is no such repository, revision or file, or the hub does not answer in time.
        """
        _needed()
        try:
            return Path(call_hub(self._shown, lambda: self._download(file, self.revision)))
        except ConfigError:
            cached = self._cached(file)
            if cached is None:
                raise
            return cached

    def fetch_all(self, files: Iterable[str], commit: str) -> None:
        """Have the named files in the hub's cache, as they are at a commit; those that are there are not asked for.

        Raises:
            ConfigError: one is missing, or cannot be fetched.
        """
        for file in files:
            call_hub(f"{file} of {self._shown}", lambda file=file: self._download(file, commit), timeout_s=_FILE_S)  # type: ignore[misc]

    def push(
        self,
        files: Mapping[str, Path],
        *,
        private: bool,
        token: str | None,
        message: str,
        owned: Sequence[str] = (),
    ) -> str:
        """Put files into the repository in one commit, having made it where it is absent, and return its address.

        Args:
            files: Name in the repository -> the file.
            private: Whether only its owner may see it; one that everybody sees is then refused.
            token: May write there; None means that of `HF_TOKEN` or of `hf auth login`.
            message: Of the commit.
            owned: Folders (`weights/`) of which the repository keeps nothing else.

        Raises:
            ConfigError: there is no token, it does not allow this, the hub cannot be reached, or the repository is
                public. The token is in no message.
        """
        _needed()
        import huggingface_hub

        token = token or huggingface_hub.get_token()
        if not token:
            raise ConfigError(
                f"Pushing a {self.what} needs a token that may write: set HF_TOKEN, or log in with `hf auth login`."
            )
        if not message.strip():
            raise ConfigError("The commit message is empty; say what the commit is.")
        api = huggingface_hub.HfApi(token=token)
        address, is_private, present = call_hub(
            f"{self.what} to {self.name}",
            lambda: self._explained(token, lambda: self._prepare(api, private)),
            verb="push",
            advice="Check the name and the network.",
        )
        if private and not is_private:
            raise ConfigError(
                f"{self.name} is on the hub and everybody can read it. Push it with private=False (--private False), "
                "make it private there, or choose another name."
            )
        operations: list[object] = [
            huggingface_hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(file))
            for name, file in sorted(files.items())
        ]
        operations += [
            huggingface_hub.CommitOperationDelete(path_in_repo=name)
            for name in sorted(set(present) - set(files))
            if name.startswith(tuple(owned))
        ]
        self._explained(token, lambda: self._commit(api, operations, message))
        return address

    def _prepare(self, api: "HfApi", private: bool) -> tuple[str, bool, list[str]]:
        """Return the repository's address, whether it is private, and its files."""
        address = api.create_repo(self.name, repo_type=self.kind, private=private, exist_ok=True)
        info = api.model_info(self.name) if self.kind == "model" else api.dataset_info(self.name)
        return str(address), bool(info.private), [file.rfilename for file in info.siblings or ()]

    def _commit(self, api: "HfApi", operations: list[object], message: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a router has a table beside its weights
            api.create_commit(
                self.name,
                operations,  # type: ignore[arg-type]
                commit_message=message,
                repo_type=self.kind,
                revision=self.revision,
            )

    def _download(self, file: str, revision: str | None) -> str:
        from huggingface_hub import errors, hf_hub_download

        try:
            return str(hf_hub_download(self.name, file, repo_type=self.kind, revision=revision, etag_timeout=_ANSWER_S))
        except errors.RepositoryNotFoundError:
            raise ConfigError(
                f"The hub has no {self.what} {self.name}, or it is private and the token in HF_TOKEN may not read it."
            ) from None
        except errors.RevisionNotFoundError:
            raise ConfigError(f"{self.name} on the hub has no revision {revision!r}.") from None
        except errors.LocalEntryNotFoundError:
            raise  # a kind of the next, but the hub was not reached
        except errors.EntryNotFoundError:
            raise ConfigError(f"{self.name} on the hub is no {self.what}, or not whole: it has no {file}.") from None

    def _cached(self, file: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.name, file, repo_type=self.kind, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def _explained(self, token: str, function: Callable[[], T]) -> T:
        """Return `function()`; what the hub's library raises becomes one line that says what to do."""
        from huggingface_hub.errors import HfHubHTTPError

        try:
            return function()
        except HfHubHTTPError as problem:
            status = problem.response.status_code
            if status == 401:
                raise ConfigError(
                    f"The hub does not know the token that {self.name} was to be pushed with. Make one that may write "
                    "(huggingface.co/settings/tokens) and set HF_TOKEN."
                ) from None
            if status == 403:
                raise ConfigError(
                    f"The token may not write to {self.name}. Give one that may (HF_TOKEN), or choose a name of yours."
                ) from None
            raise self._failure(problem, token) from None
        except Exception as problem:  # those of the library share no base
            raise self._failure(problem, token) from None

    def _failure(self, problem: Exception, token: str) -> ConfigError:
        reason = " ".join(str(problem).split())[:300].rstrip(".") or type(problem).__name__
        return ConfigError(f"Cannot push {self.what} to {self.name}: {without_tokens(reason, token)}.")

    @property
    def _shown(self) -> str:
        return f"{self.what} {self.name!r}" + ("" if self.revision is None else f" ({self.revision})")


def _needed() -> None:
    try:
        # Here, so that the time of its import is not the hub's, and that `call_hub` finds its log set up.
        from huggingface_hub import hf_hub_download  # noqa: F401
    except ImportError:
        raise MissingDependencyError("The hub needs huggingface_hub: pip install huggingface_hub") from None
