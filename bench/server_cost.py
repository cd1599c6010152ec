#!/usr/bin/env python3
"""What do storing and parsing a document cost the server: processor time, WAL and disk?

    bench/server_cost.py target/release/resume-service [OTHER_BINARY ...] [--rounds N] [--million]

Runs `up` of each binary in turn on a fresh cluster of its own (checksums and fsync on, max_wal_size 8 GB so that
no checkpoint falls into a measurement), and collects from the mock: 300,000 people, whose ids come in no order,
then the collections below. Counted are all processes of the server, job rows included, from the trigger to a
second behind the end. Autovacuum is off, since it wakes once a minute, in one measurement or the other; what a
vacuum of all tables costs after each collection is counted apart.
Needs Linux and the programs of PostgreSQL (RESUME_PG_BIN, else the newest installed).
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request

PORT, HTTP = 57432, 58432
# Name, documents, per page, batch size, seed.
COLLECTIONS = [
    ("the first 300,000", 300_000, 1_000, 1_000, 1),
    ("new, 1,000 a batch", 100_000, 1_000, 1_000, 2),
    ("unchanged, 1,000 a call", 100_000, 1_000, 1_000, 2),
    ("new, 10 a batch", 10_000, 100, 10, 3),
    ("unchanged, 100 a call", 10_000, 100, 10, 3),
]
MILLION = [("a million", 1_000_000, 1_000, 1_000, 1)]


class Server:
    """A private cluster, run as `postgres` where this program runs as root."""

    def __init__(self):
        newest = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self.programs = os.environ.get("RESUME_PG_BIN") or newest[-1]
        self.home = tempfile.mkdtemp(prefix="server-cost-")
        self.data = self.home + "/data"
        if os.getuid() == 0:
            shutil.chown(self.home, "postgres")
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--data-checksums")
        options = f"-p {PORT} -c autovacuum=off -c max_wal_size=8GB -c unix_socket_directories={self.home}"
        self.run("pg_ctl", "-D", self.data, "-l", self.home + "/log", "-o", f"'{options}'", "-w", "start")
        self.sql("create database resume", "postgres")

    def run(self, program, *arguments):
        command = " ".join([f"{self.programs}/{program}", *arguments])
        shell = ["su", "postgres", "-c", command] if os.getuid() == 0 else ["sh", "-c", command]
        subprocess.run(shell, check=True, stdout=subprocess.DEVNULL)

    def sql(self, query, database="resume"):
        psql = ["psql", "-h", "127.0.0.1", "-p", str(PORT), "-U", "postgres", "-XAt", "-c", query, database]
        return subprocess.run(psql, check=True, capture_output=True, text=True).stdout.strip()

    def cpu_s(self):
        """The processor time of all its processes; those that have ended count with their parent."""
        with open(self.data + "/postmaster.pid") as file:
            postmaster = int(file.readline())
        ticks = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    pid, _, rest = file.read().partition(" (")
            except OSError:
                continue
            fields = rest[rest.rindex(")") + 2 :].split()
            if int(pid) == postmaster:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == postmaster:
                ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def look(self):
        size = int(self.sql("select pg_database_size('resume')"))
        return self.cpu_s(), self.sql("select pg_current_wal_lsn()"), size

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "stop")
        shutil.rmtree(self.home, ignore_errors=True)


def request(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(f"http://127.0.0.1:{HTTP}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(call) as reply:
        return json.load(reply)


def collect(server, name, count, per_page, batch_size, seed):
    cpu_s, lsn, size = server.look()
    begun = time.monotonic()
    asked = {"count": count, "per_page": per_page, "batch_size": batch_size, "seed": seed}
    started = request("/api/v1/data-collection/trigger", asked)["data_request_id"]
    while True:
        status = request(f"/api/v1/data-collection/status/{started}")
        if status["finished_at"]:
            break
        time.sleep(0.5)
    took = time.monotonic() - begun
    assert status["state"] == "completed", status
    time.sleep(1)
    wal = float(server.sql(f"select pg_wal_lsn_diff(pg_current_wal_lsn(), '{lsn}')"))
    after_s, _, after = server.look()
    server.sql("vacuum (analyze)")
    vacuumed_s = server.cpu_s() - after_s
    each = f"{1e6 * (after_s - cpu_s) / count:6.1f} us  {wal / count:5.0f} B WAL  {(after - size) / count:5.0f} B disk"
    each += f"  {1e6 * vacuumed_s / count:5.1f} us of vacuum"
    print(f"  {name:26}{took:6.1f} s  {each}", flush=True)


def measure(binary, collections):
    print(binary, flush=True)
    server = Server()
    environment = dict(os.environ, RESUME_BIND=f"127.0.0.1:{HTTP}", RUST_LOG="warn")
    environment["DATABASE_URL"] = f"postgres://postgres@127.0.0.1:{PORT}/resume"
    service = subprocess.Popen([binary, "up"], env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                request("/readyz")
                break
            except OSError:
                time.sleep(0.1)
        for collection in collections:
            collect(server, *collection)
    finally:
        service.terminate()
        service.wait(30)
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="a million resumes instead")
    options = parser.parse_args()
    for _ in range(options.rounds):
        for binary in options.binaries:
            measure(binary, MILLION if options.million else COLLECTIONS)


main()
