# SPDX-License-Identifier: GPL-2.0-only
"""How fast the header of a 7B model is read, beside llama.cpp's reader and @huggingface/gguf: the
same file, a warm page cache, the same CPU, in turns."""

import json
import os
import random
import statistics
import struct
import subprocess
import tempfile
from pathlib import Path

from common import MEMPROBE, REPEATS, TOP, headline, pinned, report

PARSE = str(TOP / "build/bench/gguf_parse")
PEER_VERSION = "0.4.6"
RUNS = 21
SLOW_RUNS = 5  # of a reader that takes a second
VOCABULARY = 152064
MERGES = 151387  # of Qwen2.5
U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
TYPES = {"F32": 0, "Q4_K": 12, "Q6_K": 14}


# --- the file --------------------------------------------------------------------


def text(raw):
    return struct.pack("<Q", len(raw)) + raw


def key(name, kind):
    return text(name.encode()) + struct.pack("<I", kind)


def texts(name, items):
    return (key(name, ARRAY) + struct.pack("<IQ", STRING, len(items)) +
            b"".join(text(item) for item in items))


def tokenizer():
    """As long as the real one's: words of 2 to 12 bytes, six on average, and pairs of them."""
    rng = random.Random(1)
    words = [b"%x" % rng.getrandbits(4 * rng.randint(2, 12)) for _ in range(VOCABULARY)]
    merges = [words[i] + b" " + words[i + 1] for i in range(MERGES)]
    return [key("tokenizer.ggml.model", STRING) + text(b"gpt2"),
            key("tokenizer.ggml.pre", STRING) + text(b"qwen2"),
            texts("tokenizer.ggml.tokens", words),
            key("tokenizer.ggml.token_type", ARRAY) + struct.pack("<IQ", I32, VOCABULARY) +
            struct.pack("<I", 1) * VOCABULARY,
            texts("tokenizer.ggml.merges", merges),
            key("tokenizer.chat_template", STRING) + text(b"{%- if tools %} " * 160)]


def model():
    numbers = {"block_count": 28, "context_length": 32768, "embedding_length": 3584,
               "feed_forward_length": 18944, "attention.head_count": 28,
               "attention.head_count_kv": 4}
    return ([key("general.architecture", STRING) + text(b"qwen2"),
             key("general.name", STRING) + text(b"Qwen2.5 7B"),
             key("general.file_type", U32) + struct.pack("<I", 15),
             key("qwen2.attention.layer_norm_rms_epsilon", F32) + struct.pack("<f", 1e-6)] +
            [key(f"qwen2.{name}", U32) + struct.pack("<I", value)
             for name, value in numbers.items()])


def info_of(tensor):
    return (text(tensor["name"].encode()) + struct.pack("<I", len(tensor["ne"])) +
            struct.pack(f"<{len(tensor['ne'])}Q", *tensor["ne"]) +
            struct.pack("<IQ", TYPES[tensor["type"]], tensor["offset"]))


def write_model(folder):
    """Qwen2.5-7B at Q4_K_M, its data a hole: a synthesized one's tensors behind the tokenizer
    that published files have. Gives its path and how many keys it has."""
    made = Path(folder) / "made.gguf"
    subprocess.run([MEMPROBE, "--config-dir", str(TOP / "configs"), "gguf", "synth", "--model-id",
                    "qwen2.5-7b", "--quant", "Q4_K_M", "--sparse", "-o", str(made)],
                   check=True, stdout=subprocess.DEVNULL)
    told = subprocess.run([MEMPROBE, "gguf", "info", "--format", "json", str(made)], check=True,
                          capture_output=True)
    made.unlink()
    tensors = json.loads(told.stdout)["parts"][0]["tensors"]
    keys = model() + tokenizer()
    header = (b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) +
              b"".join(info_of(tensor) for tensor in tensors))
    path = Path(folder) / "7b.gguf"
    path.write_bytes(header)
    data = -(-len(header) // 32) * 32
    os.truncate(path, data + tensors[-1]["offset"] + tensors[-1]["bytes"])
    return path, len(keys), len(header)


# --- who reads it ----------------------------------------------------------------


def llama():
    """What tests/llama/install has, or None."""
    done = subprocess.run([str(TOP / "tests/llama/install")], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        print(f"  {done.stderr.strip()}: no comparison with llama.cpp and @huggingface/gguf")
        return None
    return Path(done.stdout.strip())


def huggingface():
    """The module's path, fetched from the npm registry when it is not in the cache, or None."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    root = cache / "memprobe-bpf/huggingface-gguf" / PEER_VERSION
    module = root / "node_modules/@huggingface/gguf/dist/index.mjs"
    if not module.exists():
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--prefix", str(root), "--ignore-scripts", "--no-audit",
                        "--no-fund", "--no-save", f"@huggingface/gguf@{PEER_VERSION}"],
                       check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not module.exists():
        print("  npm cannot install @huggingface/gguf: no comparison with it")
        return None
    return module


def readers(path):
    """The command of each."""
    commands = {"memprobe-bpf": [PARSE, str(path), str(RUNS)]}
    root = llama()
    if root:
        commands["llama.cpp"] = [PARSE, str(path), str(RUNS), str(root / "lib/libggml-base.so")]
        module = huggingface()
        if module:
            commands["@huggingface/gguf"] = [
                str(root / "node"), str(TOP / "tests/bench/gguf_parse.mjs"), str(module),
                str(path), str(SLOW_RUNS)]
    return commands


def measure(commands, n_keys):
    """Of each reader the median time and the most memory, of REPEATS processes that take turns."""
    results = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            done = subprocess.run(pinned(1, command), check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
            if (result["n_tensors"], result["n_kv"]) != (339, n_keys):
                print(f"  {name} found something else: {result}: its figure means nothing")
            results[name].append(result)
    return results


def bench_gguf():
    with tempfile.TemporaryDirectory() as folder:
        path, n_keys, header = write_model(folder)
        headline(f"The header of a 7B model, {header} bytes, vocabulary {VOCABULARY}, "
                 f"from open to free (median of {REPEATS} x {RUNS}, of the slowest x {SLOW_RUNS})")
        results = measure(readers(path), n_keys)
    ms = {name: statistics.median(run["ms"] for run in runs) for name, runs in results.items()}
    own = ms.pop("memprobe-bpf")
    report("memprobe-bpf", f"{own:.2f} ms", "< 10 ms", own < 10)
    for name, peer in ms.items():
        report(name, f"{peer:.2f} ms")
        report(f"{name} / memprobe-bpf", f"{peer / own:.1f}", "> 1", peer > own)
    anon = max(run["anon_kib"] for run in results["memprobe-bpf"])
    report("memprobe-bpf: anonymous memory at its most", f"{anon} KiB", "< 2 MB",
           anon * 1024 < 2e6)
    if "llama.cpp" in results:
        report("llama.cpp: the same",
               f"{max(run['anon_kib'] for run in results['llama.cpp'])} KiB")
    if "@huggingface/gguf" in results:
        report("@huggingface/gguf: growth of resident memory",
               f"{max(run['rss_kib'] for run in results['@huggingface/gguf'])} KiB")
