"""From what a user types to an encoder, and from an encoder to a folder and back."""

from pathlib import Path
from typing import Any

from dataset_build import ConfigError, nearest
from mixture_training.src.encoders import encoders
from mixture_training.src.encoders.base import Encoder
from mixture_training.src.encoders.combined import CombinedEncoder
from mixture_training.src.encoders.hugging_face import HuggingFaceEncoder
from mixture_training.src.pretrained import KNOWN_IDS, is_pretrained_name


def make_encoder(name: str) -> Encoder:
    """Return the encoder called `name`.

    It is a registered one, a Hugging Face id or folder, `openai:MODEL@URL`, a YAML file that describes such an
    endpoint, or several of them joined by `+`.

    Raises:
        ConfigError: it is none of these; the message names the nearest known one.
    """
    if "+" in name and not Path(name).is_dir():
        return CombinedEncoder([make_encoder(part.strip()) for part in name.split("+")])
    if name.startswith("openai:") or name.endswith((".yaml", ".yml")):
        from mixture_training.src.encoders.endpoint import parse_endpoint, read_endpoint

        return parse_endpoint(name) if name.startswith("openai:") else read_endpoint(Path(name).expanduser())
    known = sorted(set(encoders) - {HuggingFaceEncoder.kind, "openai"})
    if name in known:
        return encoders[name]()
    if is_pretrained_name(name):
        return HuggingFaceEncoder(name)
    hint = nearest(name, [*known, *KNOWN_IDS])
    raise ConfigError(
        f"Unknown encoder {name!r}.{hint} Known: {', '.join(known)}, several of them joined with '+', "
        f"a Hugging Face id (org/name) or folder, or an embeddings endpoint (openai:MODEL@URL)."
    )


def part_names(name: str) -> list[str]:
    """Return the names of the encoders that `name` puts side by side; itself alone where it is one."""
    return [part.strip() for part in name.split("+")] if "+" in name and not Path(name).is_dir() else [name]


def save_encoder(encoder: Encoder, folder: Path) -> dict[str, Any]:
    """Write a fitted encoder into `folder`, which is made, and return what `load_encoder` needs."""
    folder.mkdir()
    return {"kind": encoder.kind, "state": encoder.save(folder)}


def load_encoder(folder: Path, saved: dict[str, Any]) -> Encoder:
    """Return the encoder that `save_encoder` wrote."""
    kind: type[Encoder] = CombinedEncoder if saved["kind"] == CombinedEncoder.kind else encoders[saved["kind"]]
    return kind.load(folder, saved["state"])
