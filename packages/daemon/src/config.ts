/**
 * The settings of a daemon: dockerd's flags and the same keys in daemon.json, parsed once into a frozen object. A key given
 * both ways is an error, as with dockerd; flags that have no meaning here are accepted and reported.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BoxshipError, type LogLevel, parseSize } from '@boxship/base';
import { fileKeys, flag, networkSettings, withoutMeaning } from './flags.ts';

export interface TlsConfig {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
  /** Clients must show a certificate of this authority; undefined: anyone may connect. */
  readonly clientAuthority: string | undefined;
}

export interface DaemonConfig {
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidfile: string;
  readonly containerdAddress: string;
  readonly containerdNamespace: string;
  /** Socket of boxship-networkd; empty: none, then only `--network none` and `host` work. */
  readonly networkAddress: string;
  /** Program named in logging URIs. */
  readonly loggerPath: string;
  readonly snapshotter: string;
  /** Thin pool of the device mapper for the snapshotter devmapper; empty: none. */
  readonly thinPool: string;
  /** containerd's name of the runtime that runs containers. */
  readonly containerdRuntime: string;
  /** OCI runtimes by Docker's name. */
  readonly runtimes: Readonly<Record<string, string>>;
  readonly defaultRuntime: string;
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly labels: readonly string[];
  readonly defaultShmSize: number;
  readonly defaultUlimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  readonly cgroupParent: string;
  readonly initPath: string;
  /** Most processes of a container that sets no limit of its own; 0: no limit. */
  readonly defaultPidsLimit: number;
  /** Whether containers may be given the engine's own directories. */
  readonly mayBindEnginePaths: boolean;
  readonly isInitDefault: boolean;
  readonly isNoNewPrivileges: boolean;
  /** 'builtin', 'unconfined' or a file. */
  readonly seccompProfile: string;
  readonly isLiveRestore: boolean;
  readonly isDebug: boolean;
  readonly logLevel: LogLevel;
  readonly group: string;
  readonly shutdownTimeoutSeconds: number;
  /** For TCP listeners; undefined: none, which needs a word of consent. */
  readonly tls: TlsConfig | undefined;
  /** What was said for the network service, which the engine starts: flags of its command line. */
  readonly networkFlags: readonly string[];
  /** Options of new networks that do not set them, by driver. */
  readonly defaultNetworkOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** `--bridge none`: containers that name no network have none. */
  readonly hasDefaultBridge: boolean;
  /** Settings that were given, by their flag's name, in whichever way. */
  readonly given: ReadonlySet<string>;
  /** Things the operator should know, logged at start. */
  readonly warnings: readonly string[];
}

type Settings = Record<string, unknown>;

/** @throws invalidArgument naming the flag or key */
export function parseDaemonConfig(argv: readonly string[], defaults: { readonly loggerPath: string }): DaemonConfig {
  const flags = parseFlags(argv);
  const path = text(flags['config-file'], '/etc/docker/daemon.json');
  const file = readFile(path, flags['config-file'] !== undefined);
  for (const key of Object.keys(file))
    if (flags[key] !== undefined)
      throw new BoxshipError(
        'invalidArgument',
        `the following directives are specified both as a flag and in the configuration file: ${key}`,
      );
  return build({ ...file, ...flags }, defaults);
}

function parseFlags(argv: readonly string[]): Settings {
  // Go's flags write booleans as --flag=false; parseArgs knows only --no-flag
  const args = argv.map((arg) => {
    const [, name = '', value] = /^--([a-z0-9-]+)=(.*)$/.exec(arg) ?? [];
    const isBoolean = (flag as Record<string, { type: string }>)[name]?.type === 'boolean';
    if (!isBoolean || value === undefined) return arg;
    return /^(1|t|true)$/i.test(value) ? `--${name}` : `--no-${name}`;
  });
  try {
    const { values } = parseArgs({ args, options: flag, allowNegative: true, strict: true });
    return { ...values };
  } catch (error) {
    throw new BoxshipError('invalidArgument', (error as Error).message, { cause: error });
  }
}

function readFile(path: string, isRequired: boolean): Settings {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (!isRequired && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new BoxshipError('invalidArgument', `unable to read the configuration file ${path}`, { cause: error });
  }
  let parsed: unknown;
  try {
    parsed = content.trim() === '' ? {} : JSON.parse(content);
  } catch (error) {
    throw new BoxshipError(
      'invalidArgument',
      `unable to configure the Docker daemon with file ${path}: ${(error as Error).message}`,
    );
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new BoxshipError('invalidArgument', `${path}: the configuration must be an object`);
  const settings: Settings = {};
  for (const [key, value] of Object.entries(parsed)) settings[fileKeys[key] ?? key] = value;
  return settings;
}

const text = (value: unknown, fallback: string): string => (typeof value === 'string' ? value : fallback);
const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
const yes = (value: unknown): boolean => value === true;

function pairs(value: unknown): Record<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, String(item)]));
  return Object.fromEntries(list(value).map((item) => item.split(/=(.*)/s).slice(0, 2) as [string, string]));
}

function runtimesOf(value: unknown): Record<string, string> {
  const runtimes: Record<string, string> = { runc: 'runc' };
  if (Array.isArray(value)) return { ...runtimes, ...pairs(value) };
  if (typeof value === 'object' && value !== null)
    for (const [name, entry] of Object.entries(value)) {
      const path = (entry as { path?: unknown }).path;
      if (typeof path === 'string') runtimes[name] = path;
    }
  return runtimes;
}

/** As flags write them; daemon.json has numbers, lists and, for address pools, objects. */
function networkFlagsOf(name: string, value: unknown): string[] {
  if (value === undefined || value === '') return [];
  if (Array.isArray(value)) return value.flatMap((item: unknown) => networkFlagsOf(name, item));
  if (typeof value !== 'object' || value === null) return [`--${name}=${String(value)}`];
  if (name === 'cluster-store-opt')
    return networkFlagsOf(
      name,
      Object.entries(value).map(([key, text]) => `${key}=${text}`),
    );
  const { base, size } = value as { base?: unknown; size?: unknown };
  return [`--${name}=base=${String(base)},size=${String(size)}`];
}

/** `DRIVER=KEY=VALUE` as a flag; in daemon.json an object of objects. @throws invalidArgument */
function networkOptionsOf(value: unknown): Record<string, Record<string, string>> {
  const result: Record<string, Record<string, string>> = {};
  if (Array.isArray(value))
    for (const item of value) {
      const [, driver, key, text] = /^([^=]+)=([^=]+)=(.*)$/s.exec(String(item)) ?? [];
      if (driver === undefined || key === undefined || text === undefined)
        throw new BoxshipError('invalidArgument', `invalid default-network-opt "${item}": use DRIVER=KEY=VALUE`);
      result[driver] = { ...result[driver], [key]: text };
    }
  else if (typeof value === 'object' && value !== null)
    for (const [driver, options] of Object.entries(value)) result[driver] = pairs(options);
  return result;
}

function ulimitsOf(value: unknown): Record<string, { soft: number; hard: number }> {
  const result: Record<string, { soft: number; hard: number }> = {};
  if (Array.isArray(value))
    for (const item of value) {
      const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(String(item)) ?? [];
      if (name === undefined) throw new BoxshipError('invalidArgument', `invalid ulimit argument: ${item}`);
      result[name] = { soft: Number(soft), hard: Number(hard ?? soft) };
    }
  else if (typeof value === 'object' && value !== null)
    for (const [name, entry] of Object.entries(value)) {
      const { Soft = -1, Hard = -1 } = entry as { Soft?: number; Hard?: number };
      result[name] = { soft: Soft, hard: Hard };
    }
  return result;
}

/** @throws invalidArgument */
function tlsOf(settings: Settings): TlsConfig | undefined {
  const isVerified = yes(settings['tlsverify']);
  if (!isVerified && !yes(settings['tls'])) return undefined;
  const path = (name: string) => {
    const value = text(settings[name], '');
    if (value === '') throw new BoxshipError('invalidArgument', `TLS needs --${name}`);
    return value;
  };
  return {
    certificate: path('tlscert'),
    key: path('tlskey'),
    clientAuthority: isVerified ? path('tlscacert') : undefined,
  };
}

const levels: Readonly<Record<string, LogLevel>> = {
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  fatal: 'fatal',
};

/** As dockerd named it while it had the driver. */
const thinPoolOption = 'dm.thinpooldev';

function build(settings: Settings, defaults: { readonly loggerPath: string }): DaemonConfig {
  const warnings: string[] = [];
  for (const key of Object.keys(settings)) {
    if (withoutMeaning.has(key)) warnings.push(`setting "${key}" has no effect here`);
    else if (!Object.hasOwn(flag, key)) warnings.push(`unknown setting "${key}" in the configuration file is ignored`);
  }
  if (settings['userns-remap'] !== undefined && settings['userns-remap'] !== '')
    throw new BoxshipError('unimplemented', 'userns-remap is not supported: remove it from the settings');
  const hosts = list(settings['host']);
  for (const host of hosts)
    if (!/^(unix|tcp|fd):\/\//.test(host))
      throw new BoxshipError('invalidArgument', `invalid host "${host}": use unix:///path or tcp://address:port`);
  const tls = tlsOf(settings);
  const isTcp = hosts.some((host) => host.startsWith('tcp://'));
  if (isTcp && tls?.clientAuthority === undefined && !yes(settings['insecure-tcp-i-understand']))
    throw new BoxshipError(
      'invalidArgument',
      'TCP without client certificates makes everyone who reaches the port root here: use --tlsverify, a unix socket, or say --insecure-tcp-i-understand',
    );
  const driver = text(settings['storage-driver'], '');
  const { [thinPoolOption]: thinPool = '', ...otherStorage } = pairs(settings['storage-opt']);
  for (const key of Object.keys(otherStorage)) warnings.push(`storage option "${key}" has no effect here`);
  const runtimes = runtimesOf(settings['add-runtime']);
  const defaultRuntime = text(settings['default-runtime'], 'runc');
  if (runtimes[defaultRuntime] === undefined)
    throw new BoxshipError('invalidArgument', `specified default runtime '${defaultRuntime}' does not exist`);
  const level = text(settings['log-level'], yes(settings['debug']) ? 'debug' : 'info');
  const logLevel = levels[level];
  if (logLevel === undefined) throw new BoxshipError('invalidArgument', `invalid log level: ${level}`);
  return Object.freeze({
    hosts: hosts.length === 0 ? ['unix:///var/run/docker.sock'] : hosts,
    dataRoot: text(settings['data-root'], text(settings['graph'], '/var/lib/boxship')),
    execRoot: text(settings['exec-root'], '/run/boxship'),
    pidfile: text(settings['pidfile'], ''),
    containerdAddress: text(settings['containerd'], '/run/boxship/containerd/containerd.sock'),
    containerdNamespace: text(settings['containerd-namespace'], 'moby'),
    networkAddress: text(settings['network-address'], ''),
    loggerPath: text(settings['logger'], defaults.loggerPath),
    snapshotter: { '': 'overlayfs', overlay2: 'overlayfs', vfs: 'native' }[driver] ?? driver,
    thinPool: thinPool.replace(/^\/dev\/mapper\//, ''),
    containerdRuntime: text(settings['containerd-runtime'], 'io.containerd.runc.v2'),
    runtimes,
    defaultRuntime,
    insecureRegistries: list(settings['insecure-registry']),
    registryMirrors: list(settings['registry-mirror']),
    logDriver: text(settings['log-driver'], 'json-file'),
    logOptions: pairs(settings['log-opt']),
    dns: list(settings['dns']),
    dnsOptions: list(settings['dns-opt']),
    dnsSearch: list(settings['dns-search']),
    labels: list(settings['label']),
    defaultShmSize: parseSize(String(settings['default-shm-size'] ?? '64m')),
    defaultUlimits: ulimitsOf(settings['default-ulimit']),
    cgroupParent: text(settings['cgroup-parent'], ''),
    initPath: text(settings['init-path'], ''),
    defaultPidsLimit: pidsLimitOf(settings['default-pids-limit']),
    mayBindEnginePaths: yes(settings['allow-engine-paths']),
    isInitDefault: yes(settings['init']),
    isNoNewPrivileges: yes(settings['no-new-privileges']),
    seccompProfile: text(settings['seccomp-profile'], 'builtin'),
    isLiveRestore: yes(settings['live-restore']),
    isDebug: yes(settings['debug']),
    logLevel,
    group: text(settings['group'], 'docker'),
    shutdownTimeoutSeconds: seconds(settings['shutdown-timeout'] ?? 15),
    tls,
    networkFlags: networkSettings.flatMap((name) => networkFlagsOf(name, settings[name])),
    defaultNetworkOptions: networkOptionsOf(settings['default-network-opt']),
    hasDefaultBridge: settings['bridge'] !== 'none',
    given: new Set(Object.keys(settings)),
    warnings,
  });
}

function seconds(value: unknown): number {
  const number = Number(value);
  if (!Number.isInteger(number))
    throw new BoxshipError('invalidArgument', `invalid shutdown-timeout "${String(value)}": use whole seconds`);
  return number;
}

/** As many as a busy server has threads, and few enough that a fork bomb does not take the host. */
function pidsLimitOf(value: unknown): number {
  const limit = Number(value ?? 4096);
  if (!Number.isInteger(limit) || limit < 0)
    throw new BoxshipError(
      'invalidArgument',
      `invalid default-pids-limit "${String(value)}": use a whole number, 0 for no limit`,
    );
  return limit;
}
