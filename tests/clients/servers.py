"""Real servers, each started by the tests with its own configuration, files and port.

None of them is a service of this machine: they run in the foreground as children of the tests, keep
everything in a directory that the tests throw away, and are ended by their process id.
"""

import contextlib
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import time

SECONDS = 60  # for starting, and again for ending
PORT_ATTEMPTS = 10
POLL = 0.01
#: Debian installs servers where the PATH of ordinary users does not lead, PostgreSQL's in a directory a version.
EXTRA_PATHS = ["/usr/sbin", "/usr/local/sbin",
               *sorted(map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
DNS_DOMAIN = "tidegate.test"


class NotStarted(Exception):
    """A server that did not start, with what it said."""


def find(tool):
    """Where a server's program is; None when it is not installed."""
    return shutil.which(tool) or shutil.which(tool, path=os.pathsep.join(EXTRA_PATHS))


def free_port():
    """A port that is free for TCP and UDP, below those that the system gives to clients.

    A client that tries a dead server of that range again and again could be given the very port as its own,
    and would then be connected to itself.
    """
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(min(10000, lowest // 2), lowest)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            with contextlib.suppress(OSError):
                stream.bind(("127.0.0.1", port))
                datagrams.bind(("127.0.0.1", port))
                return port


def unprivileged():
    """Options of Popen: as nobody when we are root, for servers that refuse to be root or had better not be."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def own(path):
    """Gives a file to the user that unprivileged() names."""
    who = unprivileged()
    if who:
        os.chown(path, who["user"], who["group"])


class Server:
    """A server: what is different of each is its tools, its files, its command and the sign that it is ready."""

    tools = ()
    options = staticmethod(dict)  # of Popen

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.place.chmod(0o755)  # a server that is not root has to get through
        own(self.place)
        self.log_path = self.place / "server.log"
        self.process = None
        self.port = 0

    @classmethod
    def missing(cls):
        return [tool for tool in cls.tools if find(tool) is None]

    def prepare(self):
        """Files that are needed before the first start."""

    def command(self):
        raise NotImplementedError

    def ready(self):
        """Whether it serves: by what it says itself, so that nobody else's server is mistaken for it."""
        raise NotImplementedError

    def said(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def __enter__(self):
        self.prepare()
        for _ in range(PORT_ATTEMPTS):  # another program may take the port first
            self.port = free_port()
            try:
                self.start()
                return self
            except NotStarted as error:
                last = error
        raise last

    def __exit__(self, *_):
        self.end()

    def start(self):
        """Starts it, on the port that it has, and waits until it is ready."""
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.place, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True, **self.options())
        deadline = time.monotonic() + SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NotStarted(f"{' '.join(map(str, self.process.args))}\n{self.said()}")
            time.sleep(POLL)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Nginx(Server):
    """Serves the directory files/; what is below /slow/ in small pieces."""

    tools = ("nginx",)
    CONFIGURATION = """
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {place}/tmp;
    proxy_temp_path {place}/tmp;
    fastcgi_temp_path {place}/tmp;
    uwsgi_temp_path {place}/tmp;
    scgi_temp_path {place}/tmp;
    server {{
        listen 127.0.0.1:{port} backlog=511;
        root {place}/files;
        location /slow/ {{ alias {place}/files/; limit_rate 200k; }}
    }}
}}
"""

    def prepare(self):
        (self.place / "files").mkdir()

    def command(self):
        (self.place / "nginx.conf").write_text(self.CONFIGURATION.format(place=self.place, port=self.port))
        return [find("nginx"), "-e", "stderr", "-p", self.place, "-c", self.place / "nginx.conf"]

    def ready(self):
        """It writes its process id when its sockets listen."""
        pid = self.place / "nginx.pid"
        return pid.exists() and pid.read_text().strip() == str(self.process.pid)


class Redis(Server):
    tools = ("redis-server",)

    def command(self):
        return [find("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--daemonize", "no", "--dir", self.place]

    def ready(self):
        return "Ready to accept connections" in self.said()


class Postgres(Server):
    """Listens on a socket in its directory only. There its port is a part of the socket's name."""

    tools = ("initdb", "postgres")
    options = staticmethod(unprivileged)

    def prepare(self):
        command = [find("initdb"), "-D", self.place / "data", "-U", "tidegate", "-A", "trust", "--no-sync",
                   "--no-locale", "-E", "UTF8"]
        made = subprocess.run(command, cwd=self.place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False, **self.options())
        if made.returncode != 0:
            raise NotStarted(made.stdout)

    def command(self):
        return [find("postgres"), "-D", self.place / "data", "-k", self.place, "-p", str(self.port),
                "-c", "listen_addresses=", "-c", "fsync=off"]

    def ready(self):
        return "database system is ready to accept connections" in self.said()

    def conninfo(self, hosts="", ports=""):
        """Where it is; hosts and ports are tried before it."""
        return (f"host={hosts}{self.place} port={ports}{self.port} user=tidegate dbname=postgres sslmode=disable "
                "gssencmode=disable")


class Dnsmasq(Server):
    """Knows host-10-0-X-Y.tidegate.test as 10.0.X.Y, and asks nobody else."""

    tools = ("dnsmasq",)
    options = staticmethod(unprivileged)

    def command(self):
        return [find("dnsmasq"), "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
                "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}", f"--local=/{DNS_DOMAIN}/",
                f"--synth-domain={DNS_DOMAIN},10.0.0.0/16,host-"]

    def ready(self):
        return "started, version" in self.said()


class DBus(Server):
    """A bus on which everything is allowed, for whoever has the same user id."""

    tools = ("dbus-daemon",)
    CONFIGURATION = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={place}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_replies_per_connection">50000</limit>
  <limit name="max_incoming_bytes">100000000</limit>
  <limit name="max_outgoing_bytes">100000000</limit>
</busconfig>
"""

    def prepare(self):
        (self.place / "bus.conf").write_text(self.CONFIGURATION.format(place=self.place))

    def command(self):
        return [find("dbus-daemon"), f"--config-file={self.place / 'bus.conf'}", "--nofork", "--nopidfile",
                "--print-address=1"]

    def ready(self):
        return self.address() != ""

    def address(self):
        """The line that it prints when it listens."""
        whole = [line for line in self.said().splitlines(keepends=True) if line.endswith("\n")]
        return next((line.strip() for line in whole if line.startswith("unix:")), "")
