"""Holds what this agent sends against what the platform's own Python client sends, field by field.

Both upload the same files with the same values to a small server in this script, which answers as Flow's upload
endpoints do and writes down each request. Then the two records are compared: method, path, token, the names, values
and order of the form's fields, and the blob's name, file name and media type. Only what follows from where a file is
cut may differ: `expected_file_size`, `is_last`, and the `data` that is empty on a first chunk. That each of them is
right is checked for both sides, and for the agent its two rules of cutting as well: the first chunk of a file is not
its last, and every chunk but the last is one byte longer than the one before.

    cargo build
    python tests/reference_client/same_fields.py target/debug/flow-ingest

The binary defaults to FLOW_INGEST_BIN. It needs `flowbio` (0.14.1), and exits with 1 when anything differs.
"""

import difflib
import email.message
import gzip
import hashlib
import http.server
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flowbio.v2 import Client, ClientConfig
from flowbio.v2.auth import TokenCredentials

TOKEN = "a-token-for-this-script"
PROJECT = "788995297969977723"

# So that a file of some tens of thousands of bytes takes several chunks.
CHUNK = 10_000

# Seconds; what takes longer hangs.
PATIENCE = 120

# The fields that depend on where a file is cut.
CUTTING = ("expected_file_size", "is_last", "data")


# --- The requests, as they came ---


@dataclass
class Part:
    """A part of a form: its content and what its header says."""

    name: str
    filename: str | None
    media_type: str | None
    content: bytes

    def __str__(self):
        if self.filename is None and self.media_type is None:
            return f"{self.name} = {self.content.decode()!r}"
        return f"{self.name}: a file named {self.filename!r}, {self.media_type}"


@dataclass
class Chunk:
    """One POST to an upload endpoint."""

    method: str
    path: str
    authorization: str | None
    media_type: str
    parts: list
    data_id: str = ""

    def text(self, name):
        return [part.content.decode() for part in self.parts if part.name == name and part.filename is None]

    def blob(self):
        return b"".join(part.content for part in self.parts if part.filename is not None)


def parameter(header, name):
    """A quoted parameter of a raw header value. By hand: what is escaped in it must be seen, not undone."""
    _, found, rest = header.partition(f'; {name}="')
    return rest[: rest.index('"')] if found else None


def parse_form(body, boundary):
    parts = []
    pieces = body.split(b"--" + boundary)
    if pieces[0] != b"" or pieces[-1].strip() != b"--":
        raise ValueError("the form does not begin and end with its boundary")
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        headers = {name.lower(): value for name, value in headers.items()}
        disposition = headers.pop("content-disposition")
        media_type = headers.pop("content-type", None)
        if headers or not disposition.startswith("form-data; "):
            raise ValueError(f"a part with other headers: {head!r}")
        content = content.removesuffix(b"\r\n")
        parts.append(Part(parameter(disposition, "name"), parameter(disposition, "filename"), media_type, content))
    return parts


# --- The server ---


@dataclass
class Recorder:
    """What a server of its own knows: one for each client and case, so that both are given the same ids."""

    chunks: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    odd: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_id(self):
        # Too large for a double, and a string, as Flow's ids are.
        return str(700_000_000_000_000_001 + len(self.files))

    def take(self, chunk):
        """Stores a chunk as Flow does, and gives the answer."""
        (offset,), (is_last,), (data_id,) = (chunk.text(name) for name in CUTTING)
        if not data_id:
            data_id = self.next_id()
            filename = chunk.text("filename")[0]
            self.files[data_id] = {"filename": filename, "bytes": b"", "ready": False, "sample": None}
        chunk.data_id = data_id
        self.chunks.append(chunk)
        file = self.files[data_id]
        if int(offset) != len(file["bytes"]):
            self.odd.append(f"a chunk of {data_id} at {offset}, while there are {len(file['bytes'])} bytes")
        file["bytes"] += chunk.blob()
        answer = {"id": data_id, "data_id": data_id}
        if is_last == "true":
            file["ready"] = True
            if chunk.text("is_last_sample") == ["true"]:
                answer["sample_id"] = "900000000000000001"
                for member in (*chunk.text("previous_data"), data_id):
                    self.files[member]["sample"] = {"id": answer["sample_id"], "name": chunk.text("sample_name")[0]}
        return answer

    def look(self, path):
        """Answers a GET: status and body."""
        if path == "/me":
            return 200, {"id": "1", "username": "recorder"}
        if path.startswith("/data/") and (file := self.files.get(path.removeprefix("/data/"))) and file["ready"]:
            about = {"id": path.removeprefix("/data/"), "filename": file["filename"], "size": len(file["bytes"])}
            return 200, {**about, "sample": file["sample"]}
        if path.endswith("/search"):
            return 200, {"count": 0, "page": 1, path.split("/")[1]: []}
        return 404, {"error": "Object does not exist"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def path_below_base(self):
        return urlsplit(self.path).path.removeprefix("/api")

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        recorder = self.server.recorder
        with recorder.lock:
            status, document = recorder.look(self.path_below_base())
        self.answer(status, document)

    def do_POST(self):
        recorder = self.server.recorder
        length = self.headers.get("Content-Length")
        if length is None:
            with recorder.lock:
                recorder.odd.append(f"POST {self.path} came without Content-Length")
            self.close_connection = True
            return self.answer(411, {"error": "Length required"})
        body = self.rfile.read(int(length))
        try:
            header = email.message.Message()
            header["Content-Type"] = self.headers["Content-Type"]
            boundary = header.get_param("boundary").encode()
            chunk = Chunk(
                method=self.command,
                path=self.path,
                authorization=self.headers.get("Authorization"),
                media_type=header.get_content_type(),
                parts=parse_form(body, boundary),
            )
            with recorder.lock:
                answer = recorder.take(chunk)
        except (ValueError, KeyError, AttributeError) as error:
            with recorder.lock:
                recorder.odd.append(f"POST {self.path} cannot be read: {error!r}")
            return self.answer(400, {"error": f"unreadable: {error}"})
        self.answer(200, answer)


class Server:
    """A recorder behind a port of the loopback, for as long as the `with` lasts."""

    def __enter__(self):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.recorder = Recorder()
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{self.http.server_address[1]}/api", self.http.recorder

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


# --- The cases ---


def reads(seed, size):
    """A gzip file of made-up reads, about `size` bytes long; the same whenever it is asked for."""
    made = random.Random(seed)
    lines = []
    while sum(map(len, lines)) < size * 2:
        bases = "".join(made.choices("ACGT", k=100))
        qualities = "".join(made.choices("#-5:?CFH", k=100))
        lines.append(f"@M01:1:FC:1:{len(lines)} 1:N:0:ACGT\n{bases}\n+\n{qualities}\n")
    return gzip.compress("".join(lines).encode(), mtime=0)


@dataclass
class Case:
    """Files in a folder, and what both clients are told of them."""

    about: str
    files: dict
    """Slot to file name and content; of a generic file, the slot `data`."""
    name: str = "A01"
    type: str = "RNA-Seq"
    organism: str | None = None
    project: str | None = None
    metadata: dict = field(default_factory=dict)
    filename: str | None = None
    data_type: str | None = None

    def is_generic(self):
        return "data" in self.files


LONG = reads(1, 35_000)
OTHER = reads(2, 35_000)
SHORT = reads(3, 2_000)
EXACT = (LONG * 2)[: 2 * CHUNK]

CASES = [
    Case("a single sample", {"reads1": ("A01_R1.fastq.gz", LONG)}),
    Case("a single sample that fits into one chunk", {"reads1": ("A01_R1.fastq.gz", SHORT)}),
    Case("a paired sample", {"reads1": ("A01_R1.fastq.gz", LONG), "reads2": ("A01_R2.fastq.gz", OTHER)}),
    Case(
        "a paired sample with mates of other sizes",
        {"reads1": ("A01_R1.fastq.gz", SHORT), "reads2": ("A01_R2.fastq.gz", OTHER)},
    ),
    Case("a project", {"reads1": ("A01_R1.fastq.gz", SHORT)}, project=PROJECT),
    Case("an organism", {"reads1": ("A01_R1.fastq.gz", SHORT)}, organism="Hs"),
    Case(
        "metadata, an annotation among it",
        {"reads1": ("A01_R1.fastq.gz", LONG), "reads2": ("A01_R2.fastq.gz", OTHER)},
        metadata={"strandedness": "reverse", "source": "liver", "source__annotation": "passage 7", "comments": "a"},
    ),
    Case(
        "everything at once",
        {"reads1": ("A01_R1.fastq.gz", LONG), "reads2": ("A01_R2.fastq.gz", OTHER)},
        name="run-7_A01",
        type="CLIP",
        organism="Mm",
        project=PROJECT,
        metadata={"purification_target": "PTBP1", "scientist": "Rosalind Franklin", "zeta": "1", "alpha": "2"},
    ),
    Case(
        "letters of other alphabets, quotes, and what else a header must bear",
        {"reads1": ('Größe"1%22\'_R1.fastq.gz', LONG), "reads2": ('Größe"1%22\'_R2.fastq.gz', SHORT)},
        name='Größe"1%22\'日本',
        metadata={"comments": 'two lines:\none "quoted"; & 100 % = ü', "scientist": "李; 王"},
    ),
    Case("a generic file", {"data": ("summary.html", b"<p>" * 9_000)}),
    Case(
        "a generic file under another name and with a data type",
        {"data": ("summary.html", b"<p>" * 9_000)},
        filename="run-7_summary.html",
        data_type="report",
    ),
    Case("a file whose size is a multiple of the chunk's", {"data": ("exact.bin", EXACT)}),
]


# --- The two clients ---


def send_with_reference(case, folder, base_url):
    client = Client(base_url=base_url, config=ClientConfig(chunk_size=CHUNK, show_progress=False))
    client.log_in(TokenCredentials(TOKEN))
    paths = {slot: folder / filename for slot, (filename, _) in case.files.items()}
    if case.is_generic():
        client.data.upload_data(paths["data"], filename=case.filename, data_type=case.data_type)
        return
    client.samples.upload_sample(
        name=case.name,
        sample_type=case.type,
        data=paths,
        metadata=case.metadata or None,
        project_id=case.project,
        organism_id=case.organism,
    )


def manifest(case):
    """JSON, which is YAML as well."""
    filename = next(iter(case.files.values()))[0]
    rule = {"name": "the-case"}
    if case.is_generic():
        rule["match"] = filename
        rule["data"] = {key: getattr(case, key) for key in ("filename", "data_type") if getattr(case, key)}
    else:
        rule["match"] = "{stem}_R{read}.fastq.gz"
        rule["paired"] = "required" if "reads2" in case.files else "never"
        optional = {key: getattr(case, key) for key in ("organism", "project", "metadata") if getattr(case, key)}
        rule["sample"] = {"name": case.name, "type": case.type, **optional}
    return json.dumps({"version": 1, "rules": [rule]}, ensure_ascii=False, indent=1)


def send_with_agent(case, folder, base_url, binary, scratch):
    config = {
        "flow": {"base_url": base_url, "chunk_size": f"{CHUNK}B"},
        "state_dir": str(scratch / "state"),
        "watch": [
            {
                "name": "drop",
                "path": str(folder),
                "manifest": "manifest.yaml",
                "existing": "upload",
                "complete_when": "settled",
                "settle": "100ms",
            }
        ],
    }
    (scratch / "manifest.yaml").write_text(manifest(case))
    (scratch / "flow-ingest.yaml").write_text(json.dumps(config))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLOW_")}
    ended = subprocess.run(
        [binary, "--config", scratch / "flow-ingest.yaml", "run", "--once", "--give-up-after", "20s"],
        env={**inherited, "FLOW_API_TOKEN": TOKEN},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"the agent ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")


# --- The comparison ---


def files_of(recorder):
    """The chunks by file, in the order of their first chunks."""
    files = {}
    for chunk in recorder.chunks:
        files.setdefault(chunk.data_id, []).append(chunk)
    return files


def described(recorder):
    """All that must be the same for both clients, as lines; what differs within one file comes out as more lines."""
    lines = []
    for data_id, chunks in files_of(recorder).items():
        said = []
        for chunk in chunks:
            parts = [f"    {part.name}, as the cut has it" if part.name in CUTTING else f"    {part}" for part in chunk.parts]
            said.append([f"  {chunk.method} {chunk.path} {chunk.media_type}", f"  Authorization: {chunk.authorization}", *parts])
        content = b"".join(chunk.blob() for chunk in chunks)
        lines.append(f"file {data_id}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()[:16]}")
        for n, form in enumerate(said):
            if n == 0 or form != said[n - 1]:
                lines.extend(form)
    return lines


def cutting_trouble(recorder):
    """What is wrong with offsets, ends and ids: the same for every client of the protocol."""
    trouble = list(recorder.odd)
    for data_id, chunks in files_of(recorder).items():
        offset = 0
        for n, chunk in enumerate(chunks):
            place = f"chunk {n} of file {data_id}"
            is_last = n + 1 == len(chunks)
            expected = {
                "expected_file_size": [str(offset)],
                "is_last": ["true" if is_last else "false"],
                "data": ["" if n == 0 else data_id],
            }
            for name, value in expected.items():
                if chunk.text(name) != value:
                    trouble.append(f"{place}: {name} is {chunk.text(name)}, not {value}")
            offset += len(chunk.blob())
    return trouble


def agents_cutting_trouble(recorder):
    """What is wrong with the agent's own rules of cutting."""
    trouble = []
    for data_id, chunks in files_of(recorder).items():
        lengths = [len(chunk.blob()) for chunk in chunks]
        if len(lengths) < 2:
            trouble.append(f"file {data_id}: its first chunk is its last")
        growing = [lengths[0] + n for n in range(len(lengths) - 1)]
        if lengths[:-1] != growing or lengths[-1] > lengths[0] + len(lengths) - 1:
            trouble.append(f"file {data_id}: chunks of {lengths} bytes do not grow by one")
    return trouble


def compare(case, binary, folder):
    """What differs, as lines; none when nothing does."""
    drop, scratch = folder / "drop", folder / "agent"
    drop.mkdir(parents=True)
    scratch.mkdir()
    for filename, content in case.files.values():
        (drop / filename).write_bytes(content)
    with Server() as (base_url, reference):
        send_with_reference(case, drop, base_url)
    with Server() as (base_url, agent):
        send_with_agent(case, drop, base_url, binary, scratch)
    trouble = [f"reference client: {line}" for line in cutting_trouble(reference)]
    trouble += [f"agent: {line}" for line in cutting_trouble(agent) + agents_cutting_trouble(agent)]
    sent = [hashlib.sha256(content).digest() for _, content in case.files.values()]
    for about, recorder in (("reference client", reference), ("agent", agent)):
        came = [hashlib.sha256(file["bytes"]).digest() for file in recorder.files.values()]
        if came != sent:
            trouble.append(f"{about}: the bytes that came are not those of the files")
    theirs, ours = described(reference), described(agent)
    return trouble + list(difflib.unified_diff(theirs, ours, "reference client", "agent", n=30, lineterm=""))


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("FLOW_INGEST_BIN")
    if binary is None or len(sys.argv) > 2:
        sys.exit("usage: same_fields.py BINARY")
    # Nothing here leaves the machine, whatever proxy the environment names.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    failed = 0
    for n, case in enumerate(CASES):
        with tempfile.TemporaryDirectory() as folder:
            try:
                trouble = compare(case, binary, Path(folder))
            except Exception as error:
                trouble = [str(error) or repr(error)]
        failed += bool(trouble)
        print(f"{'DIFFERENT' if trouble else 'same'}: {case.about}", flush=True)
        for line in trouble:
            print(f"    {line}")
    print(f"{len(CASES) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
