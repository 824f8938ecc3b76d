"""Debian's mosquitto, with certificates that openssl makes, and paho-mqtt as a publisher."""

import os
import shutil
import socket
import subprocess

import paho.mqtt.client as paho

from processes import require, wait_until

PLAIN, ENCRYPTED = 28883, 28884
USER, PASSWORD = "bridge", "a password"

# Each program and the package that brings it.
PACKAGES = {"mosquitto": "mosquitto", "mosquitto_passwd": "mosquitto", "openssl": "openssl"}
# Debian has the broker where only root looks by itself.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"

BROKER = """
user root
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes false
max_queued_messages 0
allow_anonymous false
password_file {folder}/passwords
listener {plain} 127.0.0.1
listener {encrypted} 127.0.0.1
require_certificate true
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
"""


def missing():
    """The packages that have to be installed."""
    return sorted({package for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None})


def called(program, *arguments, folder):
    command = [shutil.which(program, path=PATH), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    require(done.returncode == 0, f"{program} {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")


def certificates(folder):
    """A CA, and a certificate of it for the broker and one for the bridge."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    ca = ["-days", "2", "-subj", "/CN=made-up CA", "-addext", "basicConstraints=critical,CA:TRUE"]
    called("openssl", "req", "-x509", *key, *ca, "-keyout", "ca.key", "-out", "ca.pem", folder=folder)
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for name in ("broker", "bridge"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.csr"]
        called("openssl", "req", *key, "-subj", f"/CN={name}", *files, folder=folder)
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        called("openssl", "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem", folder=folder)


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Broker:
    """Debian's mosquitto."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        certificates(folder)
        called("mosquitto_passwd", "-b", "-c", "passwords", USER, PASSWORD, folder=folder)
        settings = BROKER.format(folder=folder, plain=PLAIN, encrypted=ENCRYPTED)
        (folder / "mosquitto.conf").write_text(settings)
        self.process = None

    def start(self):
        log = open(self.folder / "mosquitto.log", "ab")  # noqa: SIM115, it lives as long as the process
        command = [shutil.which("mosquitto", path=PATH), "-c", self.folder / "mosquitto.conf"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until("the broker listens, or has ended", lambda: self.process.poll() is not None or listens(ENCRYPTED))
        require(self.process.poll() is None, (self.folder / "mosquitto.log").read_text())

    def restart(self):
        self.stop()
        self.start()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


class Publisher:
    """Publishes with QoS 1, and publishes again what the broker has not acknowledged."""

    def __init__(self):
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="publisher", clean_session=False)
        self.client.username_pw_set(USER, PASSWORD)
        self.client.max_inflight_messages_set(100)
        self.client.max_queued_messages_set(0)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_publish = self.count
        self.client.connect("127.0.0.1", PLAIN)
        self.client.loop_start()
        self.sent = self.taken = 0

    def count(self, *_):
        self.taken += 1

    def publish(self, topic, payload):
        # Without a connection it is kept for the next one.
        self.client.publish(topic, payload, qos=1)
        self.sent += 1

    def acknowledged(self):
        """Waits until the broker has acknowledged all."""
        wait_until("the broker acknowledges each message to its sender", lambda: self.taken >= self.sent)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()
