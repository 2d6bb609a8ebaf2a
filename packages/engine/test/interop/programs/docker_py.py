"""What scripts do with docker-py, on the engine that DOCKER_HOST names. Ends with 0 when all of it went as on Docker."""
import io
import tarfile
import time

import docker

client = docker.from_env(version="auto", timeout=30)


def same(what, got, expected):
    if got != expected:
        raise SystemExit(f"{what}: {got!r} instead of {expected!r}")


def archive(name, data):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def runs():
    script = ["sh", "-c", "echo out; echo err >&2"]
    same("run", client.containers.run("busybox", script, remove=True), b"out\n")
    both = client.containers.run("busybox", script, remove=True, stderr=True)
    same("both streams", sorted(both.split()), [b"err", b"out"])
    try:
        client.containers.run("busybox", ["sh", "-c", "exit 3"], remove=True)
        raise SystemExit("no error for a failing container")
    except docker.errors.ContainerError as error:
        same("exit code", error.exit_status, 3)
    try:
        client.containers.get("nope")
        raise SystemExit("found a container that is not there")
    except docker.errors.NotFound as error:
        same("explanation", error.explanation, "No such container: nope")


def life(box):
    box.reload()
    same("status", box.status, "running")
    same("labels", box.labels, {"a": "b"})
    same("exec", tuple(box.exec_run("echo hi")), (0, b"hi\n"))
    demuxed = box.exec_run(["sh", "-c", "echo a; echo b >&2"], demux=True)
    same("exec, demultiplexed", tuple(demuxed), (0, (b"a\n", b"b\n")))
    same("exec, streamed", b"".join(box.exec_run("echo st", stream=True).output), b"st\n")
    socket = box.exec_run("cat", stdin=True, socket=True).output
    socket._sock.sendall(b"through")
    socket._sock.shutdown(1)
    same("exec on a socket", socket.read()[8:], b"through")
    same("limit in stats", box.stats(stream=False)["memory_stats"]["limit"], 64 * 2**20)
    same("put", box.put_archive("/v", archive("f", b"abc")), True)
    parts, facts = box.get_archive("/v/f")
    same("size", facts["size"], 3)
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        same("get", tar.extractfile("f").read(), b"abc")
    box.pause()
    box.reload()
    same("status", box.status, "paused")
    box.unpause()
    box.update(mem_limit="128m", memswap_limit="256m")
    box.reload()
    same("update", box.attrs["HostConfig"]["Memory"], 128 * 2**20)
    box.rename("renamed")
    since = int(time.time()) - 60
    of_box = {"type": "container", "container": box.id}
    events = client.events(decode=True, filters=of_box, since=since, until=int(time.time()))
    same("first events", [event["Action"] for event in events][:2], ["create", "start"])


def networks(box):
    pool = docker.types.IPAMPool(subnet="10.77.0.0/24")
    network = client.networks.create("pynet", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    network.connect(box, aliases=["alias"], ipv4_address="10.77.0.9")
    box.reload()
    same("address", box.attrs["NetworkSettings"]["Networks"]["pynet"]["IPAddress"], "10.77.0.9")
    answer = client.containers.run("busybox", ["ping", "-c1", "alias"], network="pynet", remove=True)
    same("reached by alias", b"1 packets received" in answer, True)
    network.disconnect(box)
    network.remove()


def images(box):
    image = box.commit("pyimage", "v1")
    same("tags", image.tags, ["pyimage:v1"])
    data = b"".join(image.save(named=True))
    client.images.remove("pyimage:v1")
    same("loaded", client.images.load(data)[0].tags, ["pyimage:v1"])
    client.images.remove("pyimage:v1")


def terminal():
    api = client.api
    box = api.create_container("busybox", ["sh", "-c", "read x; echo got $x"], stdin_open=True, tty=True)["Id"]
    socket = api.attach_socket(box, params={"stdin": 1, "stdout": 1, "stream": 1})
    api.start(box)
    socket._sock.sendall(b"line\n")
    seen = b""
    while b"got line" not in seen:
        seen += socket._sock.recv(1000)
    same("code", api.wait(box)["StatusCode"], 0)
    api.remove_container(box)


runs()
box = client.containers.run(
    "busybox", ["sleep", "1000"], detach=True, labels={"a": "b"}, mem_limit="64m",
    ports={"80/tcp": None}, tmpfs={"/t": "size=1m"}, volumes={"pyvolume": {"bind": "/v", "mode": "rw"}},
)
life(box)
networks(box)
images(box)
box.stop(timeout=0)
same("code of a killed one", box.wait()["StatusCode"], 137)
box.remove()
client.volumes.get("pyvolume").remove()
terminal()
same("left", client.containers.list(all=True), [])
