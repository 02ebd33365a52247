"""A tokenizer's identity and the way its tokens are shown."""

import hashlib
import json
from typing import Any

from transformers import PreTrainedTokenizerBase

from loaders.errors import BadInput


def tokenizer_info(tokenizer: PreTrainedTokenizerBase, name: str) -> dict[str, Any]:
    """What a dataset's manifest says of its tokenizer: name, kind, fingerprint (sha256 of its definition), padding id.

    Raises BadInput for a tokenizer without character offsets (one that is not 'fast').
    """
    definition = read_definition(tokenizer, name)
    text = json.dumps(definition, sort_keys=True)
    return {
        "name": name,
        "kind": definition["model"].get("type") or "unknown",
        "fingerprint": hashlib.sha256(text.encode()).hexdigest(),
        "pad_id": tokenizer.pad_token_id or 0,
    }


def read_definition(tokenizer: PreTrainedTokenizerBase, name: str) -> dict[str, Any]:
    """The tokenizer's own JSON without what single calls leave behind in it (truncation, padding)."""
    if not getattr(tokenizer, "is_fast", False):
        raise BadInput(
            f"The tokenizer of '{name}' is not a fast one, so tokens have no place in the text. Use another model."
        )
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    return {key: value for key, value in definition.items() if key not in ("truncation", "padding")}


def display_vocabulary(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Display form of every token id: byte-level tokens decoded, `▁` as a space, `##ing` left as it is; "" for gaps."""
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    show = token_decoder(definition)
    literal = {token["content"] for token in definition.get("added_tokens", [])}
    tokens = tokenizer.get_vocab()
    vocab = [""] * (max(tokens.values(), default=-1) + 1)
    for token, number in tokens.items():
        vocab[number] = token if token in literal else show(token)
    return vocab


def token_decoder(definition: dict[str, Any]) -> Any:
    """The function from a token to its display form that suits the tokenizer's decoder."""
    decoder = definition.get("decoder") or {}
    kinds = {decoder.get("type"), *(part.get("type") for part in decoder.get("decoders", []))}
    if "ByteLevel" in kinds:
        return decode_bytes
    if "Metaspace" in kinds or "▁" in json.dumps(decoder, ensure_ascii=False):
        return lambda token: token.replace("▁", " ")
    return lambda token: token


def decode_bytes(token: str) -> str:
    """Undo the byte-level alphabet (GPT-2, Radford et al. 2019); a token that is part of a character shows its bytes."""
    if not all(character in BYTES for character in token):
        return token
    data = bytes(BYTES[character] for character in token)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in data)


def byte_alphabet() -> dict[str, int]:
    """Character -> byte: printable bytes stand for themselves, the others for the characters from U+0100 on, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


BYTES = byte_alphabet()
