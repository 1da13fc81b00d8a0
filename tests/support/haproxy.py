"""HAProxy as a process, with the configuration of deploy/haproxy, in front of three servers of the test's."""

import contextlib
import datetime
import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.app_process import ROOT, free_port, wait_until

FILES = ROOT / "deploy" / "haproxy"
NAMES = ("gpu-1", "gpu-2", "gpu-3")
"""The processes of ``processes.cfg``."""


PROGRAM_PLACES = f"{os.environ['PATH']}:/usr/sbin"
"""Debian's is where only root looks."""


def haproxy_program() -> str:
    """Without it the test is skipped."""
    path = shutil.which("haproxy", path=PROGRAM_PLACES)
    if path is None:
        pytest.skip("haproxy is not installed (scripts/install-test-tools.sh).")
    return path


OPEN = {"PLAIN_HTTP": "1"}
"""Does not lead from http to https."""


class Haproxy:
    """On 127.0.0.1, over http and, with a certificate that nobody trusts, https."""

    def __init__(self, folder: Path, addresses: Sequence[str], **variables: str) -> None:
        """``addresses``: host and port of the processes, in the order of ``NAMES``. ``variables``: others of
        the configuration."""
        port, tls_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.https_url = f"https://127.0.0.1:{tls_port}"
        self._log_path = folder / "haproxy.log"
        environment = {
            "HTTP_BIND": f"127.0.0.1:{port}",
            "HTTPS_BIND": f"127.0.0.1:{tls_port}",
            "CERTIFICATE": str(write_certificate(folder / "site.pem")),
            "PLACEMENT": str(FILES / "placement.lua"),
            **{f"GPU_{number}": address for number, address in enumerate(addresses, start=1)},
            "ASK_EVERY_MS": "100",  # tests wait for it; by itself it asks less often
            "CHECK_EVERY": "200ms",
            "ANSWER_WITHIN_SECONDS": "20",  # no process is gone because the machine is busy
            **variables,
        }
        command = [haproxy_program(), "-db", "-f", FILES / "haproxy.cfg", "-f", FILES / "processes.cfg"]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self._process.poll() is None, f"HAProxy did not start:\n{self.log}"
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.url}/haproxy-alive").status_code == 200
            return False

        wait_until(ready, 30, "HAProxy is ready", every_sec=0.02)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@contextlib.contextmanager
def running_haproxy(folder: Path, addresses: Sequence[str], **variables: str) -> Generator[Haproxy]:
    proxy = Haproxy(folder, addresses, **variables)
    try:
        proxy.wait_until_ready()
        yield proxy
    finally:
        proxy.close()


def write_certificate(path: Path) -> Path:
    """One for localhost, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(
        now - datetime.timedelta(days=1)
    )
    certificate = built.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + secret)
    return path
