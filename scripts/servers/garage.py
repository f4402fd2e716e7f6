"""Garage on the loopback: installs it once, starts one node or a cluster of several, kills and restarts single nodes.

A module for the scripts above this folder. Each node is a child of the process that starts it, with ports and a folder of
its own; `stop` ends them. Also lists a bucket by itself, so that what ssb says of it can be compared with what is there.
"""
import datetime
import hashlib
import hmac
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree

VERSION = "2.5.0"
REGION = "garage"
BUCKET = "ssb"
STARTED_SECONDS = 30


def install():
    """The path of the program: GARAGE if that is set, else one that is compiled, once, into the user's cache folder."""
    if os.environ.get("GARAGE"):
        return os.path.abspath(os.environ["GARAGE"])
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "ssb-servers", f"garage-{VERSION}")
    program = os.path.join(folder, "bin", "garage")
    if not os.path.exists(program):
        cargo = shutil.which("cargo") or os.path.expanduser("~/.cargo/bin/cargo")
        print(f"installing Garage {VERSION} into {folder}, once: 7 to 16 minutes on two cores", flush=True)
        subprocess.run([cargo, "install", "garage", "--version", VERSION, "--locked", "--no-default-features",
                        "--features", "bundled-libs,lmdb", "--root", folder], stdin=subprocess.DEVNULL, check=True)
    return program


def free_ports(count):
    """Ports that nobody uses now; all are held until all are found, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


class Node:
    """One server; what it knows lies in its folder and outlives its process."""

    def __init__(self, program, folder, secret, replicas):
        self.program, self.folder, self.process = program, folder, None
        self.port, self.rpc_port = free_ports(2)
        self.config = os.path.join(folder, "garage.toml")
        os.makedirs(folder)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'''
metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "lmdb"
replication_factor = {replicas}
compression_level = "none"
rpc_bind_addr = "127.0.0.1:{self.rpc_port}"
rpc_public_addr = "127.0.0.1:{self.rpc_port}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "{REGION}"
api_bind_addr = "127.0.0.1:{self.port}"
root_domain = ".s3.localhost"
''')

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_up(self):
        return self.process is not None

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([self.program, "-c", self.config, "server"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=dict(os.environ, RUST_LOG="garage=info"))

    def end(self, how=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def ask(self, *arguments):
        """What a command of Garage prints; raises if it fails."""
        run = subprocess.run([self.program, "-c", self.config, *arguments], stdin=subprocess.DEVNULL, text=True,
                             capture_output=True, env=dict(os.environ, RUST_LOG="error"))
        if run.returncode != 0:
            raise RuntimeError(f"garage {' '.join(arguments)}: {run.stderr.strip()[-500:]}")
        return run.stdout.strip()

    def patiently(self, *arguments):
        """The same, tried until it works: a node that has just started answers nothing yet."""
        end = time.monotonic() + STARTED_SECONDS
        while True:
            try:
                return self.ask(*arguments)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)


class Cluster:
    """Nodes that hold everything each, up to three of them, with one bucket and one key."""

    def __init__(self, folder, nodes):
        program, secret = install(), secrets.token_hex(32)
        self.nodes = [Node(program, os.path.join(folder, f"node{n}"), secret, min(nodes, 3)) for n in range(nodes)]
        self.key, self.secret = "GK" + secrets.token_hex(12), secrets.token_hex(32)

    def start(self):
        for node in self.nodes:
            node.start()
        ids = [node.patiently("node", "id", "-q") for node in self.nodes]
        first = self.nodes[0]
        first.patiently("status")
        for place in ids[1:]:
            first.patiently("node", "connect", place)
        for n, place in enumerate(ids):
            first.patiently("layout", "assign", "-z", f"zone{n}", "-c", "10G", place.split("@")[0])
        first.ask("layout", "apply", "--version", "1")
        first.patiently("key", "import", "--yes", "-n", "ssb", self.key, self.secret)
        first.patiently("bucket", "create", BUCKET)
        first.patiently("bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", "ssb")
        self.wait_until_whole()

    def wait_until_whole(self):
        """Until every node answers for the bucket."""
        for node in self.nodes:
            end = time.monotonic() + STARTED_SECONDS
            while True:
                try:
                    self.objects("nothing/", node)
                    break
                except (OSError, RuntimeError):
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.2)

    def restart(self):
        """Starts the nodes that are down."""
        for node in self.nodes:
            if not node.is_up:
                node.start()
        self.wait_until_whole()

    def settle(self, prefix):
        """Until all nodes list the same. One that was away misses what was deleted meanwhile, and lists it, until Garage
        has compared its tables, which takes it up to ten minutes if nobody asks."""
        self.nodes[0].patiently("repair", "--all-nodes", "--yes", "tables")
        end, same = time.monotonic() + 10 * STARTED_SECONDS, 0
        while same < 5:
            if time.monotonic() > end:
                raise RuntimeError("the nodes do not come to list the same")
            lists = [self.objects(prefix, node) for node in self.nodes]
            same = same + 1 if lists.count(lists[0]) == len(lists) else 0
            time.sleep(0.5)

    def stop(self):
        for node in self.nodes:
            node.end()

    def environment(self, node=None):
        """What ssb needs to reach the bucket through a node, the first if none is given."""
        return dict(S3_ENDPOINT=(node or self.nodes[0]).endpoint, S3_REGION=REGION, AWS_ACCESS_KEY_ID=self.key,
                    AWS_SECRET_ACCESS_KEY=self.secret, AWS_EC2_METADATA_DISABLED="true")

    def objects(self, prefix, node=None):
        """name -> size, of every object whose name begins with the prefix, as seen by a node that is up."""
        node = node or next(node for node in self.nodes if node.is_up)
        found, token = {}, None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            page = xml.etree.ElementTree.fromstring(self.get(node, f"/{BUCKET}", query))
            space = {"s3": page.tag[1:].split("}")[0]}
            for item in page.findall("s3:Contents", space):
                found[item.findtext("s3:Key", None, space)] = int(item.findtext("s3:Size", None, space))
            token = page.findtext("s3:NextContinuationToken", None, space)
            if not token:
                return found

    def get(self, node, path, query):
        """The body of a signed request (AWS signature, version 4)."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        empty = hashlib.sha256(b"").hexdigest()
        headers = {"host": f"127.0.0.1:{node.port}", "x-amz-content-sha256": empty, "x-amz-date": now}
        names = ";".join(headers)
        asked = "&".join(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in sorted(query.items()))
        lines = [f"{name}:{value}\n" for name, value in headers.items()]
        request = "\n".join(["GET", path, asked, "".join(lines), names, empty])
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
        signature = ("AWS4" + self.secret).encode()
        for part in (*scope.split("/"), to_sign):
            signature = hmac.digest(signature, part.encode(), "sha256")
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, "
                                    f"Signature={signature.hex()}")
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        try:
            connection.request("GET", f"{path}?{asked}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the node at port {node.port} answered {answer.status}: {body[:300]!r}")
        return body


def end_on_signals():
    """Lets SIGTERM end a script like an exception does, so that its clean-up runs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
