"""Types the same commands to the platform's own CLI and to this agent's, against one server.

For each case both must end with the same exit code, and what they list or make must be the same: the objects are read
back from the server and compared member by member, without ids, times and the names that keep the two apart. Where the
two part on purpose, the case names both codes and the reason. Run it against a sandbox:

    flow-ingest sandbox --dir /tmp/flow &
    python tests/reference_client/same_shell.py http://127.0.0.1:PORT/api target/debug/flow-ingest

It logs in with FLOW_USERNAME and FLOW_PASSWORD, both "sandbox" by default. It needs `flowbio` (0.14.1), whose command
must lie beside the python that runs this. It says how many cases passed and failed, and exits with 1 at a miss.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = "788995297969977723"

# Seconds; what takes longer hangs.
PATIENCE = 120

# Members of the server's answers that differ from one upload to the next.
FLEETING = {"id", "created", "owner", "started", "finished", "execution_id"}


class Miss(Exception):
    """The two part here."""


@dataclass
class Ended:
    code: int
    stdout: bytes
    stderr: str

    def json(self):
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise Miss(f"stdout is not one document ({error}): {self.stdout!r}") from error


def equal(theirs, ours, about):
    if theirs != ours:
        raise Miss(f"{about}:\n    flowbio      {theirs!r}\n    flow-ingest  {ours!r}")


class Sides:
    """The two commands, the server, and a folder of files."""

    def __init__(self, base_url, binary, folder):
        self.base_url = base_url.rstrip("/")
        self.flowbio = [str(Path(sys.executable).parent / "flowbio")]
        self.agent = [str(Path(binary).resolve())]
        self.folder = folder
        # A server may be met more than once.
        self.tag = uuid.uuid4().hex[:8]
        self.passed = self.failed = 0
        names = ("FLOW_USERNAME", "FLOW_PASSWORD")
        username, password = (os.environ.get(name, "sandbox") for name in names)
        self.token = self.request("/login", {"username": username, "password": password})["token"]

    # What both see.

    def request(self, path, body=None, token=None):
        request = urllib.request.Request(self.base_url + path)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(self, command, arguments, token=True, stdin=None):
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOW_", "XDG_"))}
        environment = kept | {"HOME": str(home), "FLOW_API_URL": self.base_url}
        if token:
            environment["FLOW_API_TOKEN"] = self.token if token is True else token
        ended = subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env=environment,
            input=b"" if stdin is None else stdin.encode(),
            capture_output=True,
            timeout=PATIENCE,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr.decode(errors="replace"))

    # The comparison.

    def case(self, about, theirs, ours, check=None, code=None, why=None, **how):
        """Runs both. `code` is the code that both must end with, or the two codes where they part, for the reason
        `why`. `check` is given how both ended, and raises a miss."""
        try:
            flowbio, agent = self.run(self.flowbio, theirs, **how), self.run(self.agent, ours, **how)
            expected = code if isinstance(code, tuple) else (code, code)
            codes = (flowbio.code, agent.code)
            both = f"exit codes {codes}, not {expected}\n    flowbio      {flowbio}\n    flow-ingest  {agent}"
            if codes != expected:
                raise Miss(both)
            if self.token.encode() in flowbio.stdout + agent.stdout or self.token in agent.stderr:
                raise Miss("the token is printed")
            if check:
                check(flowbio, agent)
        except (Miss, KeyError, IndexError, TypeError, urllib.error.URLError, subprocess.TimeoutExpired) as error:
            self.failed += 1
            print(f"MISS {about}: {error if isinstance(error, Miss) else repr(error)}")
        else:
            self.passed += 1
            print(f"ok   {about}" + (f" ({codes[0]} there, {codes[1]} here: {why})" if why else ""))

    def object(self, path, side):
        """An object of the server, without what differs from one upload to the next, and without the side's mark."""

        def bare(value):
            if isinstance(value, dict):
                return {key: bare(member) for key, member in value.items() if key not in FLEETING}
            if isinstance(value, list):
                return [bare(member) for member in value]
            return value.replace(f"_{side}_{self.tag}", "") if isinstance(value, str) else value

        return bare(self.request(path, token=self.token))

    def same_objects(self, path, theirs, ours):
        theirs = [self.object(f"{path}/{id}", "f") for id in theirs]
        equal(theirs, [self.object(f"{path}/{id}", "a") for id in ours], path)

    def samples(self, theirs, ours):
        self.same_objects("/samples", theirs, ours)

    def data(self, theirs, ours):
        self.same_objects("/data", theirs, ours)

    def marked(self, name, side):
        return f"{name}_{side}_{self.tag}"

    # The cases.

    def reading(self):
        def same(flowbio, agent):
            equal(flowbio.stdout, agent.stdout, "bodies")

        get = lambda path, *query: ["api", "get", path, *(word for pair in query for word in ("--param", pair))]
        for path, *query in (
            ("/me",),
            ("samples/types",),
            ("/samples/metadata",),
            ("/samples/metadata/cell_line/options", "value=CL-01"),
            ("/projects/owned", "page=2", "count=2"),
            ("/samples/search", "name=no such & name", "count=1"),
        ):
            self.case(f"api get {path}", get(path, *query), get(path, *query), same, code=0)
        for path in ("/organisms", "/data/types", "/samples/types"):
            self.case(f"api get {path}, as nobody", get(path), get(path), same, code=0, token=None)

        lists = {"types": "/samples/types", "organisms": "/organisms", "data-types": "/data/types"}
        for what, path in lists.items():

            def listed(flowbio, agent, key=what.replace("-", "_")):
                identifier = "id" if key == "organisms" else "identifier"
                names = [[one[identifier] for one in many] for many in (flowbio.json(), agent.json()[key])]
                equal(*names, key)

            self.case(f"list {what}", get(path), ["list", what, "--json"], listed, code=0, token=None)

        def projects(flowbio, agent):
            equal(flowbio.json()["projects"], agent.json()["projects"], "projects")

        theirs = get("/projects/owned", "count=100")
        self.case("list projects", theirs, ["list", "projects", "--json"], projects, code=0)

        def attributes(flowbio, agent):
            columns = [one for one in flowbio.json() if one["kind"] == "metadata"]
            ours = agent.json()["metadata"]
            required = {one["identifier"] for one in ours if one["required_for_type"]}
            equal({column["name"] for column in columns if column["required"]}, required, "required")
            # A template has columns for the attributes of all types.
            options = {one["identifier"]: one["options"] and one["options"]["values"] for one in ours}
            theirs = {column["name"]: column["options"] for column in columns if column["name"] in options}
            equal(theirs, options, "options")

        theirs = ["samples", "batch-template", "--sample-type", "CLIP", "--json"]
        self.case("list metadata", theirs, ["list", "metadata", "--type", "CLIP", "--json"], attributes, code=0)

    def templates(self):
        def columns(flowbio, agent):
            kept = lambda column: tuple(column[key] for key in ("name", "kind", "required", "options"))
            equal([kept(c) for c in flowbio.json()], [kept(c) for c in agent.json()["columns"]], "columns")

        def lines(flowbio, agent):
            equal(flowbio.stdout, agent.stdout, "headers")

        batch = lambda *more: ["batch-template", "--sample-type", *more]
        self.case("batch-template", ["samples", *batch("CLIP")], batch("CLIP"), lines, code=0)
        as_json = batch("CLIP", "--json")
        self.case("batch-template --json", ["samples", *as_json], as_json, columns, code=0)
        self.case("batch-template of an unknown type", ["samples", *batch("typo")], batch("typo"), code=2)

        def files(theirs, ours):
            read = lambda name: (self.folder / name).read_bytes()
            return lambda *_: equal(read(theirs), read(ours), "templates")

        for name, more in (("generic", []), ("CLIP", ["--sample-type", "CLIP"])):
            sides = [["annotation-template", *more, "-o", f"{name}_{side}.xlsx"] for side in "fa"]
            same = files(f"{name}_f.xlsx", f"{name}_a.xlsx")
            self.case(f"annotation-template, {name}", ["samples", *sides[0]], sides[1], same, code=0)
        unknown = ["annotation-template", "--sample-type", "typo", "-o", "typo.xlsx"]
        self.case("annotation-template of an unknown type", ["samples", *unknown], unknown, code=4)
        nowhere = ["annotation-template", "-o", "none/x.xlsx"]
        self.case("annotation-template into no folder", ["samples", *nowhere], nowhere, code=2)
        again = ["annotation-template", "-o", "generic_a.xlsx"]
        why = "a filled-in sheet is not overwritten without --force"
        self.case("annotation-template over a file", ["samples", *again], again, code=(0, 2), why=why)

    def upload_sample(self, about, arguments, check=None, **how):
        """The arguments are those of both, but for the name's mark."""
        sides = []
        for side in "fa":
            words = [self.marked(word[1:], side) if word.startswith("@") else word for word in arguments]
            sides.append(words)
        theirs, ours = sides
        self.case(about, ["samples", "upload", *theirs, "--json"], ["upload", "sample", *ours, "--json"], check, **how)

    def single(self):
        reads1, reads2 = self.file("R1.fastq", b"one\n" * 50), self.file("R2.fastq", b"two\n" * 50)

        def same(flowbio, agent):
            self.samples([flowbio.json()["id"]], [one["sample_id"] for one in agent.json()["uploads"]])

        of = lambda name, sample_type, *more: ["--name", name, "--sample-type", sample_type, "--reads1", reads1, *more]
        as_json = json.dumps({"purification_target": "é", "source": "Brain", "source__annotation": "left"})
        good = {
            "a single read": of("@single", "RNA-Seq"),
            "a pair": of("@pair", "RNA-Seq", "--reads2", reads2),
            "project and organism": of("@both", "RNA-Seq", "--project", PROJECT, "--organism", "Hs"),
            "metadata": of("@meta", "CLIP", "--metadata", "purification_target=FUS", "--metadata", 'pi=a=b; "c"'),
            "metadata as JSON": of("@json", "CLIP", "--metadata-json", as_json),
        }
        for about, arguments in good.items():
            self.upload_sample(f"upload sample, {about}", arguments, same, code=0)
        invalid = {
            "an unknown type": of("@bad", "typo"),
            "a name with a space": of("b d", "RNA-Seq"),
            "an unknown project": of("@bad", "RNA-Seq", "--project", "1"),
            "an unknown organism": of("@bad", "RNA-Seq", "--organism", "Xx"),
            "required metadata missing": of("@bad", "CLIP"),
            "a value beyond the options": of("@bad", "RNA-Seq", "--metadata", "strandedness=sideways"),
            "a value against the pattern": of("@bad", "RNA-Seq", "--metadata", "five_prime_barcode=ACXT"),
            "an unknown attribute": of("@bad", "RNA-Seq", "--metadata", "typo=x"),
        }
        for about, arguments in invalid.items():
            self.upload_sample(f"upload sample, {about}", arguments, code=5)
        usage = {
            "no such file": ["--name", "@bad", "--sample-type", "RNA-Seq", "--reads1", "none.fastq"],
            "no reads": ["--name", "@bad", "--sample-type", "RNA-Seq"],
            "no name": ["--sample-type", "RNA-Seq", "--reads1", reads1],
            "metadata without =": of("@bad", "RNA-Seq", "--metadata", "typo"),
            "metadata twice": of("@bad", "RNA-Seq", "--metadata", "pi=x", "--metadata-json", '{"pi": "y"}'),
            "metadata that is no JSON": of("@bad", "RNA-Seq", "--metadata-json", "{"),
            "an unknown flag": of("@bad", "RNA-Seq", "--typo"),
        }
        for about, arguments in usage.items():
            self.upload_sample(f"upload sample, {about}", arguments, code=2)
        self.upload_sample("upload sample, a bad token", of("@bad", "RNA-Seq"), code=3, token="no-such-token")

    def generic(self):
        def same(flowbio, agent):
            self.data([flowbio.json()["id"]], [file["data_id"] for file in agent.json()["uploads"][0]["files"]])

        report = self.file("report.html", b"<html>" * 30)
        with zipfile.ZipFile(self.folder / "plots.zip", "w") as archive:
            archive.writestr("plots/a.txt", "a plot")
        upload = lambda *words: (["data", "upload", *words, "--json"], ["upload", "data", *words, "--json"])
        self.case("upload data", *upload(report), same, code=0)
        renamed = upload(report, "--filename", "other.html", "--data-type", "report")
        self.case("upload data, renamed", *renamed, same, code=0)
        self.case("upload data, an archive", *upload("plots.zip", "--directory"), same, code=0)
        self.case("upload data, an unknown type", *upload(report, "--data-type", "typo"), code=5)
        self.case("upload data, a space in the name", *upload(report, "--filename", "b d.html"), code=5)
        self.case("upload data, no such file", *upload("none.html"), code=2)
        # What was uploaded before is known without asking, and needs no token.
        other = self.file("another.html", b"<html>" * 40)
        self.case("upload data, a bad token", *upload(other), code=3, token="no-such-token")

    def multiplexed(self):
        header = "Sample Name,Sample Type,Organism,Barcode\n"
        reads1, reads2 = self.file("pool_R1.fastq", b"one\n" * 50), self.file("pool_R2.fastq", b"two\n" * 50)
        reads = ["--reads1", reads1, "--reads2", reads2]
        sheets = {
            "good": self.file("good.csv", header + "A,RNA-Seq,Hs,ACGT\n"),
            "warned": self.file("warned.csv", header + "A,RNA-Seq,,ACGT\n"),
            "bad": self.file("bad.csv", header + "A B,typo,Hs,ACGT\n"),
        }

        def same(flowbio, agent):
            theirs, upload = flowbio.json(), agent.json()["uploads"][0]
            ours = {file["slot"]: file["data_id"] for file in upload["files"]}
            equal(theirs["warnings"], upload.get("warnings") or [], "warnings")
            self.data(theirs["data_ids"], [ours["reads1"], ours["reads2"]])
            equal(True, theirs["annotation_id"] is not None and ours["annotation"] is not None, "annotations")

        upload = lambda sheet, *more: (
            ["samples", "upload-multiplexed", *reads, "--annotation", sheet, *more, "--json"],
            ["upload", "multiplexed", *reads, "--annotation", sheet, *more, "--json"],
        )
        self.case("upload multiplexed", *upload(sheets["good"]), same, code=0)
        self.case("upload multiplexed, warned about", *upload(sheets["warned"]), same, code=0)
        self.case("upload multiplexed, warnings rejected", *upload(sheets["warned"], "--reject-warnings"), code=5)
        self.case("upload multiplexed, a bad sheet", *upload(sheets["bad"]), code=5)
        self.case("upload multiplexed, no such sheet", *upload("none.csv"), code=2)

    def batch(self, about, sheet, *more, sample_type="RNA-Seq", check=None, **how):
        sides = []
        for side in "fa":
            name = f"batch_{side}.csv"
            self.file(name, sheet.replace("@", f"_{side}_{self.tag}"))
            sides.append(["--sheet", name, "--sample-type", sample_type, *more, "--json"])
        theirs, ours = sides
        theirs, ours = ["samples", "upload-batch", *theirs], ["upload", "batch", *ours]
        self.case(f"upload batch, {about}", theirs, ours, check, **how)

    def batches(self):
        def same(flowbio, agent):
            theirs, ours = flowbio.json(), agent.json()
            done = [one for one in ours["uploads"] if one["state"] == "done"]
            self.samples([one["sample_id"] for one in theirs["uploaded"]], [one["sample_id"] for one in done])
            # Rows are counted from the first below the header there, and as a spreadsheet does here.
            rows = lambda many, key: sorted(one[key] for one in many)
            equal([n + 1 for n in rows(theirs["skipped"], "row_number")], rows(ours["skipped"], "row"), "skipped rows")

        header = "name,reads1,reads2,project,organism,source,source__annotation\n"
        good = f"B1@,R1.fastq,R2.fastq,{PROJECT},Hs,Brain,left\nB2@,R2.fastq,,,,,\n"
        mixed = header + good.replace("B1", "C1").replace("B2", "C2") + "C3@,none.fastq,,,,,\n"
        windows = "\ufeff" + (header + good.replace("B1", "D1").replace("B2", "D2")).replace("\n", "\r\n")
        self.batch("good rows", header + good, check=same, code=0)
        self.batch("as Windows writes it", windows, check=same, code=0)
        self.batch("a missing file", mixed, code=2)
        self.batch("a missing file, skipped", mixed, "--skip-invalid", check=same, code=0)
        self.batch("no name", header + ",R1.fastq,,,,,\n", code=2)
        refused = {"code": (2, 5), "why": "a value that Flow would refuse"}
        self.batch("a name with a space", header + "b d,R1.fastq,,,,,\n", **refused)
        closed = "name,reads1,strandedness\nE1@,R1.fastq,sideways\n"
        self.batch("a value beyond the options", closed, **refused)
        required = "name,reads1\nE2@,R1.fastq\n"
        self.batch("required metadata missing", required, sample_type="CLIP", **refused)
        self.batch("an unknown type", required, sample_type="typo", code=(1, 5), why="told before any row is tried")
        xlsx = ["--sheet", self.file("x.xlsx", b"PK"), "--sample-type", "RNA-Seq"]
        self.case("upload batch, no .csv", ["samples", "upload-batch", *xlsx], ["upload", "batch", *xlsx], code=2)

    def imports(self):
        last = {}

        def started(flowbio, agent):
            theirs, ours = flowbio.json(), agent.json()
            kept = lambda job: {key: value for key, value in job.items() if key not in FLEETING | {"version"}}
            equal(kept(theirs), kept(ours), "jobs")
            last.update(f=theirs["id"], a=ours["id"])

        def ended(flowbio, agent):
            theirs, ours = flowbio.json(), agent.json()
            equal(*([job[key] for key in ("status", "accessions", "error")] for job in (theirs, ours)), "jobs")
            self.samples(theirs["sample_ids"], ours["sample_ids"])

        def sheet(text, side):
            return ["--sheet", self.file(f"import_{side}.csv", text.replace("@", f"_{side}_{self.tag}")), "--json"]

        def start(about, text, check=None, **how):
            theirs, ours = (["import", *sheet(text, side)] for side in "fa")
            self.case(f"import, {about}", ["samples", *theirs], ours, check, **how)

        def status(about, check, **how):
            theirs = ["samples", "import-status", "--job-id", last.get("f", "0"), "--json"]
            ours = ["import-status", "--job", last.get("a", "0"), "--json"]
            self.case(f"import-status, {about}", theirs, ours, check, **how)

        columns = "accession,sample_type,name,organism,project,pubmed,purification_target\n"
        full = columns + f"ERR1160845,CLIP,I1@,Hs,{PROJECT},12345678,FUS\nSRX7,RNA-Seq,I2@,,,,\n,,,,,,\n"
        start("good rows", full, started, code=0)
        status("completed", ended, code=0)
        start("as Windows writes it", "\ufeff" + full.replace("\n", "\r\n"), started, code=0)
        start("an accession that no archive has", "accession,sample_type\nSRR000,RNA-Seq\n", started, code=0)
        status("failed", ended, code=1)
        plain = "accession,sample_type,organism\n"
        for about, text in {
            "no accession": plain + ",RNA-Seq,\n",
            "no sample type": plain + "ERR1,,\n",
            "a short row": plain + "ERR1,RNA-Seq\n",
            "a long row": plain + "ERR1,RNA-Seq,Hs,x\n",
            "no rows": plain,
            "no header": "",
            "a column without a name": "accession,sample_type,\nERR1,RNA-Seq,\n",
            "a column twice": "accession,sample_type,pi,pi\nERR1,RNA-Seq,a,b\n",
            "no column accession": "sample_type\nRNA-Seq\n",
        }.items():
            start(about, text, code=2)
        for about, row in {
            "a bad accession": "GSE1,RNA-Seq,",
            "an unknown type": "ERR1,typo,",
            "an unknown organism": "ERR1,RNA-Seq,Xx",
            "required metadata missing": "ERR1,CLIP,Hs",
        }.items():
            start(about, plain + row + "\n", code=5)
        start("a bad token", plain + "ERR1,RNA-Seq,\n", code=3, token="no-such-token")
        for id, code in (("1", 4), ("one", 2), ("", 2)):
            theirs, ours = ["samples", "import-status", "--job-id", id], ["import-status", "--job", id]
            self.case(f"import-status of {id!r}", theirs, ours, code=code)

    def raw(self):
        def same_job(flowbio, agent):
            equal(*(ended.json()["accessions"] for ended in (flowbio, agent)), "jobs")

        body = json.dumps({"imports": [{"accession": "ERR1", "sample_type": "RNA-Seq"}]})
        self.file("body.json", body)
        post = ["api", "post", "/v2/sample-imports"]
        self.case("api post, a file", [*post, "--body", "body.json"], [*post, "--data", "@body.json"], same_job, code=0)
        self.case("api post, stdin", [*post, "--body", "-"], [*post, "--data", "-"], same_job, code=0, stdin=body)
        self.case("api post, no such file", [*post, "--body", "no.json"], [*post, "--data", "@no.json"], code=2)
        refused = json.dumps({"imports": []})
        self.case("api post, refused", [*post, "--body", "-"], [*post, "--data", "-"], code=5, stdin=refused)
        broken = "{"
        self.case("api post, no JSON", [*post, "--body", "-"], [*post, "--data", "-"], code=5, stdin=broken)
        patch = ["api", "patch", "/nothing"]
        self.case("api patch, nothing there", [*patch, "--body", "-"], [*patch, "--data", "-"], code=4, stdin="{}")
        for about, words, code in (
            ("nothing there", ["api", "get", "/nothing"], 4),
            ("a page too large", ["api", "get", "/projects/owned", "--param", "count=101"], 5),
            ("a query in the path", ["api", "get", "/organisms?a=b"], 2),
            ("a parameter without =", ["api", "get", "/organisms", "--param", "a"], 2),
            ("no path", ["api", "get"], 2),
            ("an unknown method", ["api", "delete", "/samples/1"], 2),
            ("no method", ["api"], 2),
        ):
            self.case(f"api, {about}", words, words, code=code)
        me = ["api", "get", "/me"]
        self.case("api get, a bad token", me, me, code=3, token="no-such-token")
        self.case("api get, what needs an account, as nobody", me, me, code=3, token=None)
        why = "there, a prompt that cannot be shown is a usage error"
        nobody = ([*post, "--body", "body.json"], [*post, "--data", "@body.json"])
        self.case("api post, as nobody", *nobody, code=(2, 3), why=why, token=None)
        empty = self.file("empty-token", "")
        os.chmod(empty, 0o600)
        missing = ["--token-file", empty, "api", "get", "/me"], ["api", "get", "/me", "--token-file", empty]
        self.case("an empty token file", *missing, code=(2, 3), why="credentials that cannot be used", token=None)

    def all(self):
        uploads = (self.single, self.generic, self.multiplexed, self.batches)
        for step in (self.reading, self.templates, *uploads, self.imports, self.raw):
            step()


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: same_shell.py BASE_URL FLOW_INGEST")
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(*sys.argv[1:], Path(folder))
        sides.all()
    print(f"{sides.passed} passed, {sides.failed} failed")
    sys.exit(1 if sides.failed else 0)


if __name__ == "__main__":
    main()
