"""Drives the platform's own Python client through the sandbox.

The sandbox is only worth something as long as the real client cannot tell it from Flow. This takes every call that
the client's second version has, and compares what comes back with what Flow would say. Run it against a sandbox:

    flow-ingest sandbox --dir /tmp/flow &
    python tests/reference_client/through_the_sandbox.py http://127.0.0.1:PORT/api sandbox sandbox

The arguments default to FLOW_API_URL, FLOW_USERNAME and FLOW_PASSWORD. It needs `flowbio` (0.14.1), exits with 1 at
the first miss and says what it was.
"""

import json
import os
import sys
import tempfile
import uuid
from pathlib import Path

from flowbio.v2 import Client, ClientConfig, UsernamePasswordCredentials
from flowbio.v2.auth import TokenCredentials
from flowbio.v2.exceptions import (
    AnnotationValidationError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    UnprocessableError,
)
from flowbio.v2.samples import SampleImportSpec

PROJECT = "788995297969977723"

# Small, so that files of a few dozen bytes take several chunks.
CHUNK = 10


class Miss(Exception):
    """The sandbox and Flow would part here."""


def expect(condition, message):
    if not condition:
        raise Miss(message)


def refused(exception_class, call, about):
    """The exception that the call must end with: of this class, and no subclass of it."""
    try:
        result = call()
    except exception_class as error:
        expect(type(error) is exception_class, f"{about}: {type(error).__name__}, not {exception_class.__name__}")
        return error
    except Exception as error:
        raise Miss(f"{about}: {error!r}, not {exception_class.__name__}") from error
    raise Miss(f"{about}: not refused, but {result!r}")


class Through:
    """One pass of the client through the sandbox."""

    def __init__(self, base_url, username, password, folder):
        self.base_url = base_url
        self.username = username
        self.password = password
        self.folder = folder
        # A sandbox may be passed through more than once.
        self.tag = uuid.uuid4().hex[:8]
        self.client = self.new_client()

    def new_client(self):
        return Client(base_url=self.base_url, config=ClientConfig(chunk_size=CHUNK, show_progress=False))

    def get(self, path):
        return json.loads(self.client.get_raw(path))

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def stored(self, data_id, name):
        """What the server has of a file."""
        return self.client._transport.get_bytes(f"/downloads/{data_id}/{name}")

    def logging_in(self):
        wrong = UsernamePasswordCredentials(username=self.username, password=self.password + "x")
        refused(BadRequestError, lambda: self.client.log_in(wrong), "a wrong password")
        self.client.log_in(UsernamePasswordCredentials(username=self.username, password=self.password))
        expect(self.get("/me")["username"] == self.username, "GET /me is somebody else")
        stranger = self.new_client()
        stranger.log_in(TokenCredentials("no such token"))
        refused(AuthenticationError, lambda: stranger.get_raw("/me"), "a bad token")

    def refreshing(self):
        """The client holds a refresh cookie: with a bad token it helps itself to a good one."""
        self.client._transport.set_token("worn out")
        expect(self.get("/me")["username"] == self.username, "the refresh cookie got no fresh token")

    def lists(self):
        samples = self.client.samples
        types = {kind.identifier for kind in samples.get_types()}
        expect({"RNA-Seq", "CLIP", "Proteomics"} <= types, f"sample types {types}")
        attributes = {attribute.identifier: attribute for attribute in samples.get_metadata_attributes()}
        options = attributes["strandedness"].options
        expect(options == ["forward", "reverse", "unstranded"], f"options of strandedness {options}")
        expect(attributes["scientist"].options is None, "scientist is closed to options")
        required = attributes["purification_target"].required_for_sample_types
        expect(required == ["CLIP"], f"purification_target is required for {required}")
        expect(len(attributes["cell_line"].options) == 100, "the list of cell lines is not cut at 100")
        expect("Hs" in {organism.id for organism in samples.get_organisms()}, "no human among the organisms")
        projects = samples.get_owned_projects()
        expect(len(projects) == len(list(projects)) == 5, "not five projects")
        expect(PROJECT in {project.id for project in projects}, f"no project {PROJECT}")
        expect(samples.get_annotation_template("RNA-Seq")[:2] == b"PK", "the template is no spreadsheet")
        refused(NotFoundError, lambda: samples.get_annotation_template("typo"), "an unknown template")
        refused(BadRequestError, lambda: self.get("/projects/owned?count=101"), "a page of 101")

    def sample(self, name, sample_type, files, **further):
        """Uploads a sample, and compares what the server has with what was sent."""
        name = f"{name}_{self.tag}"
        paths = {key: self.file(filename, content) for key, (filename, content) in files.items()}
        sample = self.client.samples.upload_sample(name=name, sample_type=sample_type, data=paths, **further)
        record = self.get(f"/samples/{sample.id}")
        expect(record["name"] == name, f"{name} is called {record['name']}")
        data = [file for fileset in record["filesets"] for file in fileset["data"]]
        sent = [(filename, content) for filename, content in files.values()]
        there = [(file["filename"], self.stored(file["id"], file["filename"])) for file in data]
        expect(there == sent, f"{name}: sent {sent}, there is {there}")
        for file in data:
            expect(self.get(f"/data/{file['id']}")["sample"]["id"] == sample.id, f"{name}: a file of another sample")
        found = self.get(f"/samples/search?name={name}&owned=true")
        expect([row["id"] for row in found["samples"]] == [sample.id], f"{name} is not found exactly once")
        return record

    def uploads(self):
        reads1 = ("lone_R1.fastq.gz", b"0123456789" * 3)
        self.sample("lone", "RNA-Seq", {"reads1": reads1})
        paired = {"reads1": ("p_R1.fastq.gz", b"first mate, 25 bytes long"), "reads2": ("p_R2.fastq.gz", b"2")}
        metadata = {"strandedness": "reverse", "source": "a new one", "source__annotation": "passage 7"}
        record = self.sample("paired", "RNA-Seq", paired, metadata=metadata, project_id=PROJECT, organism_id="Hs")
        expect(record["project"]["id"] == PROJECT, f"the project is {record['project']}")
        expect(record["metadata"]["source"] == {"value": "a new one", "annotation": "passage 7"}, "the annotation is lost")
        self.sample("peptides", "Proteomics", {"spectra": ("s.raw", b"x" * 11), "design": ("d.csv", b"a,b\n")})
        self.sample("empty", "RNA-Seq", {"reads1": ("empty.fastq", b"")})

        report = self.client.data.upload_data(self.file("r.html", b"<p>" * 9), filename="x.html", data_type="report")
        record = self.get(f"/data/{report.id}")
        expect((record["filename"], record["size"]) == ("x.html", 27), f"the report is {record}")
        archive = self.client.data.upload_data(self.file("plots.zip", b"PK"), is_directory=True)
        expect(self.stored(archive.id, "plots.zip") == b"PK", "the archive has other bytes")

    def multiplexed(self):
        reads = {"reads1": self.file("pool_R1.fastq.gz", b"1" * 25), "reads2": self.file("pool_R2.fastq.gz", b"2" * 25)}
        header = "Sample Name,Sample Type,Organism,Barcode\n"

        def upload(sheet, **further):
            path = self.file("sheet.csv", (header + sheet).encode())
            return self.client.samples.upload_multiplexed_data(reads=reads, annotation=path, **further)

        plain = upload("A,RNA-Seq,Hs,ACGT\n")
        expect(len(set(plain.data_ids)) == 2 and plain.warnings == [], f"a good sheet: {plain}")
        expect(self.stored(plain.data_ids[1], "pool_R2.fastq.gz") == b"2" * 25, "the second reads have other bytes")
        waved = upload("A,RNA-Seq,,ACGT\n")
        expect([warning["row"] for warning in waved.warnings] == [2], f"a suspicious sheet: {waved}")
        unwaved = lambda: upload("A,RNA-Seq,,ACGT\n", ignore_warnings=False)
        refused(AnnotationValidationError, unwaved, "warnings that are not ignored")
        error = refused(AnnotationValidationError, lambda: upload("A B,typo,Hs,ACGT\n"), "a bad sheet")
        expect({item["row"] for item in error.errors} == {2}, f"a bad sheet: {error.errors}")

    def refusals(self):
        reads = {"reads1": self.file("bad.fastq", b"x" * 25)}
        upload = lambda **changed: self.client.samples.upload_sample(
            **{"name": f"bad_{self.tag}", "sample_type": "RNA-Seq", "data": reads, **changed}
        )
        cases = {
            "sample_type": {"sample_type": "rna_seq"},
            "sample_name": {"name": "b d"},
            "project": {"project_id": "1"},
            "organism": {"organism_id": "Xx"},
            "purification_target": {"sample_type": "CLIP"},
            "strandedness": {"metadata": {"strandedness": "sideways"}},
            "five_prime_barcode": {"metadata": {"five_prime_barcode": "ACXT"}},
            "typo": {"metadata": {"typo": "x"}},
            "filename": {"data": {"reads1": self.file("b d.fastq", b"x")}},
        }
        for field, changed in cases.items():
            error = refused(BadRequestError, lambda: upload(**changed), f"a bad {field}")
            expect(isinstance(error.message, dict) and field in error.message, f"a bad {field}: {error.message}")
        expect(self.get(f"/samples/search?name=bad_{self.tag}")["count"] == 0, "a refused sample is there")
        typo = lambda: self.client.data.upload_data(self.folder / "bad.fastq", data_type="typo")
        refused(BadRequestError, typo, "a bad data_type")
        stranger = self.new_client()
        anonymous = lambda: stranger.data.upload_data(self.folder / "bad.fastq")
        refused(AuthenticationError, anonymous, "an upload by nobody")

    def imports(self):
        samples = self.client.samples
        job = samples.import_samples([SampleImportSpec(accession="ERR1160845", sample_type="RNA-Seq")])
        expect(job.status == "RUNNING", f"a new job is {job.status}")
        job = samples.get_import(job.id)
        expect(job.status == "COMPLETED" and len(job.sample_ids) == 1, f"the job came to {job}")
        bad = lambda: samples.import_samples([SampleImportSpec(accession="GSE1", sample_type="RNA-Seq")])
        error = refused(UnprocessableError, bad, "a bad accession")
        expect(error.details[0]["pointer"] == "/imports/0/accession", f"a bad accession: {error.details}")
        error = refused(NotFoundError, lambda: samples.get_import("1"), "an unknown job")
        expect(error.code == "not_found", f"an unknown job: {error.code}")

    def all(self):
        uploads = (self.uploads, self.multiplexed, self.refusals)
        for step in (self.logging_in, self.refreshing, self.lists, *uploads, self.imports):
            step()
            print(f"ok: {step.__name__.replace('_', ' ')}")


def main():
    defaults = [os.environ.get(name) for name in ("FLOW_API_URL", "FLOW_USERNAME", "FLOW_PASSWORD")]
    given = sys.argv[1:] + defaults[len(sys.argv) - 1 :]
    if len(given) != 3 or None in given:
        sys.exit("usage: through_the_sandbox.py BASE_URL USERNAME PASSWORD")
    with tempfile.TemporaryDirectory() as folder:
        try:
            Through(*given, Path(folder)).all()
        except Miss as miss:
            sys.exit(f"miss: {miss}")


if __name__ == "__main__":
    main()
