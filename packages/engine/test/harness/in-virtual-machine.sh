#!/bin/sh
# A whole engine on a machine with cgroup version 2 and AppArmor. Tells what it sees as lines "name: value".
# usage: in-virtual-machine.sh DOCKER ENGINE
docker=$1
engine=$2
export DOCKER_HOST=unix://$TMPDIR/engine.sock HOME=$TMPDIR
mount -t securityfs securityfs /sys/kernel/security
node --no-warnings "$engine" -H $DOCKER_HOST --data-root "$TMPDIR/data" --exec-root "$TMPDIR/run" \
  --config-file /dev/null > "$TMPDIR/engine.log" 2>&1 &
i=0
until grep -q 'boxship listens' "$TMPDIR/engine.log"; do
  i=$((i + 1))
  [ $i -gt 1200 ] && { cat "$TMPDIR/engine.log" "$TMPDIR"/data/log/*; exit 1; }
  sleep 0.1
done

tell() {
  name=$1
  shift
  echo "$name: $("$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')"
}
run() { $docker run --rm "$@"; }
of_box() { $docker inspect -f "$1" box; }

tell cgroups $docker info -f '{{.CgroupVersion}} {{.CgroupDriver}}'
tell security $docker info -f '{{range .SecurityOptions}}{{println .}}{{end}}'
tell limits run -m 64m --cpus 0.5 --pids-limit 50 --cpuset-cpus 0 boxship/hello \
  sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max cpuset.cpus'
tell 'own cgroup' run --network none boxship/hello cat /proc/self/cgroup
tell profile run --network none boxship/hello cat /proc/self/attr/current
tell 'profile unconfined' run --network none --security-opt apparmor=unconfined boxship/hello cat /proc/self/attr/current
tell mount run --network none --cap-add SYS_ADMIN --security-opt seccomp=unconfined -v /bin/busybox:/busybox:ro \
  boxship/hello /busybox mount -t tmpfs none /tmp

$docker run -d --name box -m 64m -p 8080:80 -v /bin/busybox:/busybox:ro boxship/hello \
  /busybox httpd -f -p 80 -h /etc > /dev/null
tell inspected of_box '{{.AppArmorProfile}} {{.HostConfig.CgroupnsMode}} {{.State.Status}}'
tell port busybox wget -qO- http://127.0.0.1:8080/hostname
tell stats $docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' box
$docker pause box > /dev/null
tell paused of_box '{{.State.Status}}'
$docker unpause box > /dev/null
$docker update -m 128m --memory-swap 256m box > /dev/null
tell updated $docker exec box cat /sys/fs/cgroup/memory.max
tell stopped $docker stop -t 5 box
tell code of_box '{{.State.ExitCode}}'
$docker rm box > /dev/null

$docker run --name box -m 16m --network none -v /bin/busybox:/busybox:ro boxship/hello /busybox tail /dev/zero
tell oom of_box '{{.State.OOMKilled}} {{.State.ExitCode}}'
$docker rm box > /dev/null
# what ctr checkpoints goes on in another container, which ends as the first one would have
ck() { ctr -a "$TMPDIR/run/containerd/containerd.sock" -n checkpoints "$@"; }
$docker save boxship/hello | ck images import - > /dev/null
# a start anew would find the file, which goes along, and end with 5
script='if [ -e /begun ]; then code=5; else code=7; fi; : > /begun; trap "exit $code" TERM; while :; do /busybox sleep 0.2; done'
ck run -d --mount type=bind,src=/bin/busybox,dst=/busybox,options=rbind:ro "$(ck images ls -q | head -n 1)" first \
  /busybox sh -c "$script"
ck tasks exec --exec-id begun first /busybox sh -c 'until [ -e /begun ]; do /busybox sleep 0.1; done'
tell checkpoint ck containers checkpoint --image --task --rw first example.test/checkpoint:1
ck tasks rm -f first
ck containers rm first
tell restore ck containers restore --live --rw second example.test/checkpoint:1
ck tasks kill -s TERM second
i=0
until ck tasks ls | grep -q 'second .*STOPPED' || [ $((i += 1)) -gt 50 ]; do sleep 0.2; done
tell restored ck tasks rm second
ck containers rm second
tell 'left of checkpoints' ck tasks ls -q
tell left find /sys/fs/cgroup/docker -mindepth 1 -type d
