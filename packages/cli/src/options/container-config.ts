/** The flags that `create` and `run` share, and the request that they make. */
import { readFileSync } from 'node:fs';
import { BoxshipError, parseDurationNs } from '@boxship/base';
import type { ContainerCreateRequest, EndpointSettingsRequest } from '@boxship/engine-api';
import { type FlagValues, flag } from '../pflag/flags.ts';
import { readKeyValueFile, resolveEnv, toMap } from './env.ts';
import { parseMount, parseTmpfs, parseVolumes } from './mounts.ts';
import { parsePorts } from './ports.ts';

export const containerFlags = {
  'add-host': flag.list({ help: 'Add a custom host-to-IP mapping (host:ip)' }),
  annotation: flag.list({ help: 'Add an annotation to the container' }),
  attach: flag.list({ short: 'a', help: 'Attach to STDIN, STDOUT or STDERR' }),
  'blkio-weight': flag.int({ help: 'Block IO (relative weight), between 10 and 1000, or 0 to disable' }),
  'cap-add': flag.list({ help: 'Add Linux capabilities' }),
  'cap-drop': flag.list({ help: 'Drop Linux capabilities' }),
  'cgroup-parent': flag.string({ help: 'Optional parent cgroup for the container' }),
  cgroupns: flag.string({ help: 'Cgroup namespace to use (host|private)' }),
  cidfile: flag.string({ help: 'Write the container ID to the file' }),
  'cpu-period': flag.int({ help: 'Limit CPU CFS (Completely Fair Scheduler) period' }),
  'cpu-quota': flag.int({ help: 'Limit CPU CFS (Completely Fair Scheduler) quota' }),
  'cpu-shares': flag.int({ short: 'c', help: 'CPU shares (relative weight)' }),
  cpus: flag.cpus({ help: 'Number of CPUs' }),
  'cpuset-cpus': flag.string({ help: 'CPUs in which to allow execution (0-3, 0,1)' }),
  'cpuset-mems': flag.string({ help: 'MEMs in which to allow execution (0-3, 0,1)' }),
  device: flag.list({ help: 'Add a host device to the container' }),
  'device-cgroup-rule': flag.list({ help: 'Add a rule to the cgroup allowed devices list' }),
  dns: flag.list({ help: 'Set custom DNS servers' }),
  'dns-option': flag.list({ help: 'Set DNS options' }),
  'dns-search': flag.list({ help: 'Set custom DNS search domains' }),
  domainname: flag.string({ help: 'Container NIS domain name' }),
  entrypoint: flag.string({ help: 'Overwrite the default ENTRYPOINT of the image' }),
  env: flag.list({ short: 'e', help: 'Set environment variables' }),
  'env-file': flag.list({ help: 'Read in a file of environment variables' }),
  expose: flag.list({ help: 'Expose a port or a range of ports' }),
  'group-add': flag.list({ help: 'Add additional groups to join' }),
  'health-cmd': flag.string({ help: 'Command to run to check health' }),
  'health-interval': flag.string({ help: 'Time between running the check (ms|s|m|h) (default 0s)' }),
  'health-retries': flag.int({ help: 'Consecutive failures needed to report unhealthy' }),
  'health-start-period': flag.string({
    help: 'Start period for the container to initialize before starting health-retries countdown',
  }),
  'health-timeout': flag.string({ help: 'Maximum time to allow one check to run (ms|s|m|h) (default 0s)' }),
  hostname: flag.string({ short: 'h', help: 'Container host name' }),
  init: flag.bool({ help: 'Run an init inside the container that forwards signals and reaps processes' }),
  interactive: flag.bool({ short: 'i', help: 'Keep STDIN open even if not attached' }),
  ip: flag.string({ help: 'IPv4 address (e.g., 172.30.100.104)' }),
  ip6: flag.string({ help: 'IPv6 address (e.g., 2001:db8::33)' }),
  ipc: flag.string({ help: 'IPC mode to use' }),
  label: flag.list({ short: 'l', help: 'Set meta data on a container' }),
  'label-file': flag.list({ help: 'Read in a line delimited file of labels' }),
  link: flag.list({ help: 'Add link to another container' }),
  'link-local-ip': flag.list({ help: 'Container IPv4/IPv6 link-local addresses' }),
  'log-driver': flag.string({ help: 'Logging driver for the container' }),
  'log-opt': flag.list({ help: 'Log driver options' }),
  'mac-address': flag.string({ help: 'Container MAC address (e.g., 92:d0:c6:0a:29:33)' }),
  memory: flag.bytes({ short: 'm', help: 'Memory limit' }),
  'memory-reservation': flag.bytes({ help: 'Memory soft limit' }),
  'memory-swap': flag.swap({ help: "Swap limit equal to memory plus swap: '-1' to enable unlimited swap" }),
  'memory-swappiness': flag.int({ initial: -1, help: 'Tune container memory swappiness (0 to 100)' }),
  mount: flag.list({ help: 'Attach a filesystem mount to the container' }),
  name: flag.string({ help: 'Assign a name to the container' }),
  network: flag.list({ help: 'Connect a container to a network' }),
  'network-alias': flag.list({ help: 'Add network-scoped alias for the container' }),
  'no-healthcheck': flag.bool({ help: 'Disable any container-specified HEALTHCHECK' }),
  'oom-kill-disable': flag.bool({ help: 'Disable OOM Killer' }),
  'oom-score-adj': flag.int({ help: "Tune host's OOM preferences (-1000 to 1000)" }),
  pid: flag.string({ help: 'PID namespace to use' }),
  'pids-limit': flag.int({ help: 'Tune container pids limit (set -1 for unlimited)' }),
  platform: flag.string({ help: 'Set platform if server is multi-platform capable' }),
  privileged: flag.bool({ help: 'Give extended privileges to this container' }),
  publish: flag.list({ short: 'p', help: "Publish a container's port(s) to the host" }),
  'publish-all': flag.bool({ short: 'P', help: 'Publish all exposed ports to random ports' }),
  pull: flag.string({ initial: 'missing', help: 'Pull image before creating ("always", "missing", "never")' }),
  quiet: flag.bool({ short: 'q', help: 'Suppress the pull output' }),
  'read-only': flag.bool({ help: "Mount the container's root filesystem as read only" }),
  restart: flag.string({ initial: 'no', help: 'Restart policy to apply when a container exits' }),
  rm: flag.bool({ help: 'Automatically remove the container and its associated anonymous volumes when it exits' }),
  runtime: flag.string({ help: 'Runtime to use for this container' }),
  'security-opt': flag.list({ help: 'Security Options' }),
  'shm-size': flag.bytes({ help: 'Size of /dev/shm' }),
  'stop-signal': flag.string({ help: 'Signal to stop the container' }),
  'stop-timeout': flag.int({ help: 'Timeout (in seconds) to stop a container' }),
  sysctl: flag.list({ help: 'Sysctl options' }),
  tmpfs: flag.list({ help: 'Mount a tmpfs directory' }),
  tty: flag.bool({ short: 't', help: 'Allocate a pseudo-TTY' }),
  ulimit: flag.list({ help: 'Ulimit options' }),
  user: flag.string({ short: 'u', help: 'Username or UID (format: <name|uid>[:<group|gid>])' }),
  userns: flag.string({ help: 'User namespace to use' }),
  uts: flag.string({ help: 'UTS namespace to use' }),
  volume: flag.list({ short: 'v', help: 'Bind mount a volume' }),
  'volume-driver': flag.string({ help: 'Optional volume driver for the container' }),
  'volumes-from': flag.list({ help: 'Mount volumes from the specified container(s)' }),
  workdir: flag.string({ short: 'w', help: 'Working directory inside the container' }),
} as const;

export type ContainerFlagValues = FlagValues<typeof containerFlags>;

const fail = (message: string): never => {
  throw new BoxshipError('invalidArgument', message);
};

/** @throws invalidArgument in docker's words */
export function containerRequest(
  values: ContainerFlagValues,
  operands: readonly string[],
  given: ReadonlySet<string>,
  options: { readonly isDetached: boolean },
): ContainerCreateRequest {
  const [image = '', ...command] = operands;
  const attached = new Set(values.attach.map((name) => name.toLowerCase()));
  for (const name of attached)
    if (!['stdin', 'stdout', 'stderr'].includes(name))
      fail(`invalid argument "${name}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`);
  const attachesAll = attached.size === 0 && !options.isDetached;
  if (values.rm && values.restart !== 'no' && values.restart !== '')
    fail('conflicting options: cannot specify both --restart and --rm');
  const { exposed, bindings } = parsePorts(values.publish, values.expose);
  const { volumes, binds } = parseVolumes(values.volume);
  const env = [
    ...values['env-file'].flatMap((file) => readKeyValueFile(file, (name) => process.env[name])),
    ...resolveEnv(values.env),
  ];
  const labels = {
    ...toMap(values['label-file'].flatMap((file) => readKeyValueFile(file, () => ''))),
    ...toMap(values.label),
  };
  const [networkMode = 'default', ...moreNetworks] = values.network;
  return {
    Hostname: values.hostname,
    Domainname: values.domainname,
    User: values.user,
    AttachStdin: attached.has('stdin') || (attachesAll && values.interactive),
    AttachStdout: attached.has('stdout') || attachesAll,
    AttachStderr: attached.has('stderr') || attachesAll,
    ExposedPorts: exposed,
    Tty: values.tty,
    OpenStdin: values.interactive,
    StdinOnce: values.interactive && !options.isDetached,
    Env: env,
    ...(command.length === 0 ? {} : { Cmd: command }),
    Image: image,
    Volumes: volumes,
    WorkingDir: values.workdir,
    ...(given.has('entrypoint') ? { Entrypoint: [values.entrypoint] } : {}),
    Labels: labels,
    ...(values['stop-signal'] === '' ? {} : { StopSignal: values['stop-signal'] }),
    ...(given.has('stop-timeout') ? { StopTimeout: values['stop-timeout'] } : {}),
    ...(values['mac-address'] === '' ? {} : { MacAddress: values['mac-address'] }),
    ...healthcheck(values, given),
    HostConfig: {
      Binds: binds,
      LogConfig: { Type: values['log-driver'], Config: toMap(values['log-opt']) },
      NetworkMode: networkName(networkMode),
      PortBindings: bindings,
      RestartPolicy: restartPolicy(values.restart),
      AutoRemove: values.rm,
      VolumeDriver: values['volume-driver'],
      VolumesFrom: [...values['volumes-from']],
      CapAdd: [...values['cap-add']],
      CapDrop: [...values['cap-drop']],
      CgroupnsMode: values.cgroupns,
      Dns: [...values.dns],
      DnsOptions: [...values['dns-option']],
      DnsSearch: [...values['dns-search']],
      ExtraHosts: values['add-host'].map((host) => host.replace('=', ':')),
      GroupAdd: [...values['group-add']],
      IpcMode: values.ipc,
      Links: [...values.link],
      OomScoreAdj: values['oom-score-adj'],
      PidMode: values.pid,
      Privileged: values.privileged,
      PublishAllPorts: values['publish-all'],
      ReadonlyRootfs: values['read-only'],
      SecurityOpt: securityOptions(values['security-opt']),
      Tmpfs: parseTmpfs(values.tmpfs),
      UTSMode: values.uts,
      UsernsMode: values.userns,
      ShmSize: values['shm-size'],
      Sysctls: toMap(values.sysctl),
      ...(values.runtime === '' ? {} : { Runtime: values.runtime }),
      CpuShares: values['cpu-shares'],
      Memory: values.memory,
      NanoCpus: values.cpus,
      CgroupParent: values['cgroup-parent'],
      BlkioWeight: values['blkio-weight'],
      CpuPeriod: values['cpu-period'],
      CpuQuota: values['cpu-quota'],
      CpusetCpus: values['cpuset-cpus'],
      CpusetMems: values['cpuset-mems'],
      Devices: values.device.map(parseDevice),
      DeviceCgroupRules: [...values['device-cgroup-rule']],
      MemoryReservation: values['memory-reservation'],
      MemorySwap: values['memory-swap'],
      MemorySwappiness: values['memory-swappiness'],
      OomKillDisable: values['oom-kill-disable'],
      PidsLimit: values['pids-limit'],
      Ulimits: values.ulimit.map(parseUlimit),
      ...(values.mount.length === 0 ? {} : { Mounts: values.mount.map(parseMount) }),
      ...(given.has('init') ? { Init: values.init } : {}),
      ...(values.annotation.length === 0 ? {} : { Annotations: toMap(values.annotation) }),
    },
    NetworkingConfig: { EndpointsConfig: endpoints(values, networkMode, moreNetworks) },
  };
}

/** `--network` is a name, or `name=…,alias=…,ip=…`. */
function networkName(text: string): string {
  if (!text.includes('=')) return text;
  return /(?:^|,)name=([^,]+)/.exec(text)?.[1] ?? fail(`invalid field ${text}: name is required`);
}

function endpoints(
  values: ContainerFlagValues,
  first: string,
  others: readonly string[],
): Record<string, EndpointSettingsRequest> {
  const of = (text: string): EndpointSettingsRequest => {
    if (!text.includes('=')) return {};
    const fields = text.split(',').map((field) => field.split(/=(.*)/s) as [string, string]);
    const all = (key: string) => fields.filter(([name]) => name === key).map(([, value]) => value);
    const [ip] = all('ip');
    const [ip6] = all('ip6');
    const linkLocal = all('link-local-ip');
    const ipam = {
      ...(ip === undefined ? {} : { IPv4Address: ip }),
      ...(ip6 === undefined ? {} : { IPv6Address: ip6 }),
      ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: linkLocal }),
    };
    const [mac] = all('mac-address');
    const [priority] = all('gw-priority');
    return {
      ...(all('alias').length > 0 ? { Aliases: all('alias') } : {}),
      ...(Object.keys(ipam).length === 0 ? {} : { IPAMConfig: ipam }),
      ...(mac === undefined ? {} : { MacAddress: mac }),
      ...(priority === undefined ? {} : { GwPriority: Number(priority) }),
      ...(all('driver-opt').length > 0 ? { DriverOpts: toMap(all('driver-opt')) } : {}),
    };
  };
  const main = of(first);
  if (values['network-alias'].length > 0) main.Aliases = [...(main.Aliases ?? []), ...values['network-alias']];
  const linkLocal = values['link-local-ip'];
  if (values.ip !== '' || values.ip6 !== '' || linkLocal.length > 0)
    main.IPAMConfig = {
      IPv4Address: values.ip,
      IPv6Address: values.ip6,
      ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: [...linkLocal] }),
    };
  // on user networks a link is a name in the DNS: the network's affair
  if (values.link.length > 0 && isUserDefined(networkName(first))) main.Links = [...values.link];
  if (values['mac-address'] !== '') main.MacAddress = values['mac-address'];
  return Object.fromEntries([[networkName(first), main], ...others.map((text) => [networkName(text), of(text)])]);
}

const isUserDefined = (network: string): boolean =>
  !['', 'default', 'bridge', 'host', 'none'].includes(network) && !network.startsWith('container:');

function restartPolicy(text: string): { Name: string; MaximumRetryCount: number } {
  const [name = '', count] = text.split(':');
  if (count !== undefined && !/^\d+$/.test(count))
    fail('invalid restart policy format: maximum retry count must be an integer');
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

function parseDevice(text: string): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  const [host = '', second, third] = text.split(':');
  const isMode = second !== undefined && third === undefined && /^[rwm]+$/.test(second);
  return {
    PathOnHost: host,
    PathInContainer: isMode || second === undefined ? host : second,
    CgroupPermissions: third ?? (isMode ? (second ?? 'rwm') : 'rwm'),
  };
}

function parseUlimit(text: string): { Name: string; Soft: number; Hard: number } {
  const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? fail(`invalid ulimit argument: ${text}`);
  return { Name: name ?? '', Soft: Number(soft), Hard: Number(hard ?? soft) };
}

/** A seccomp profile travels as its text: the daemon may be on another machine. */
function securityOptions(values: readonly string[]): string[] {
  return values.map((value) => {
    const path = /^seccomp[=:](.+)$/.exec(value)?.[1];
    if (path === undefined || path === 'unconfined' || path === 'builtin') return value;
    try {
      return `seccomp=${JSON.stringify(JSON.parse(readFileSync(path, 'utf8')))}`;
    } catch (error) {
      throw new BoxshipError(
        'invalidArgument',
        `opening seccomp profile (${path}) failed: ${(error as Error).message}`,
        { cause: error },
      );
    }
  });
}

function healthcheck(
  values: ContainerFlagValues,
  given: ReadonlySet<string>,
): Pick<ContainerCreateRequest, 'Healthcheck'> {
  const isSet = [...given].some((name) => name.startsWith('health-'));
  if (values['no-healthcheck']) {
    if (isSet) fail('--no-healthcheck conflicts with --health-* options');
    return { Healthcheck: { Test: ['NONE'] } };
  }
  if (!isSet) return {};
  const duration = (text: string) => (text === '' ? 0 : parseDurationNs(text));
  return {
    Healthcheck: {
      Test: values['health-cmd'] === '' ? [] : ['CMD-SHELL', values['health-cmd']],
      Interval: duration(values['health-interval']),
      Timeout: duration(values['health-timeout']),
      StartPeriod: duration(values['health-start-period']),
      Retries: values['health-retries'],
    },
  };
}
