/** What does not change while the daemon runs: kernel, CPUs, memory, cgroup version, the capabilities it can hand out. */
import { readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import { cgroupVersion } from '@boxship/linux';

export interface HostFacts {
  readonly hostname: string;
  readonly kernelVersion: string;
  /** `x86_64`, as uname says it. */
  readonly machine: string;
  /** `amd64`, as Go says it. */
  readonly architecture: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** What containers can be bound to, in the kernel's notation (`0-3,8`); empty without the cpuset controller. */
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly cgroupVersion: 1 | 2;
  /** Names with `CAP_`, by number: those the daemon itself may hold, the most that any container can get. */
  readonly capabilities: readonly string[];
  readonly hasSeccomp: boolean;
  readonly hasAppArmor: boolean;
  /** Of containers that name none; empty: they run without. */
  readonly appArmorProfile: string;
  readonly operatingSystem: string;
  readonly operatingSystemVersion: string;
}

/** capability(7), by number. */
export const capabilityNames = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP',
  'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER',
  'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE',
  'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP',
  'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`); // biome-ignore format: a table

const goArchitectures: Readonly<Record<string, [machine: string, go: string]>> = {
  x64: ['x86_64', 'amd64'],
  arm64: ['aarch64', 'arm64'],
  arm: ['armv7l', 'arm'],
  ppc64: ['ppc64le', 'ppc64le'],
  s390x: ['s390x', 's390x'],
  riscv64: ['riscv64', 'riscv64'],
};

export function readHostFacts(): HostFacts {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bounding = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const held = bounding & effective;
  const [machine, architecture] = goArchitectures[arch()] ?? [arch(), arch()];
  const os = osRelease();
  return Object.freeze({
    hostname: hostname(),
    kernelVersion: release(),
    machine,
    architecture,
    cpuCount: cpus().length,
    memoryBytes: totalmem(),
    cpusetCpus: readEffective('cpus'),
    cpusetMems: readEffective('mems'),
    cgroupVersion: cgroupVersion(),
    capabilities: capabilityNames.filter((_, bit) => (held >> BigInt(bit)) & 1n),
    hasSeccomp: /^Seccomp:/m.test(status),
    hasAppArmor: readText('/sys/module/apparmor/parameters/enabled').trim() === 'Y',
    appArmorProfile: '', // known when it is loaded
    operatingSystem: os['PRETTY_NAME'] ?? 'Linux',
    operatingSystemVersion: os['VERSION_ID'] ?? '',
  } satisfies HostFacts);
}

const readEffective = (name: 'cpus' | 'mems'): string =>
  (cgroupVersion() === 2
    ? readText(`/sys/fs/cgroup/cpuset.${name}.effective`)
    : readText(`/sys/fs/cgroup/cpuset/cpuset.effective_${name}`)
  ).trim();

function osRelease(): Record<string, string> {
  const lines = readText('/etc/os-release').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, key, value = ''] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
      return key === undefined ? [] : [[key, value.replace(/^["']|["']$/g, '')]];
    }),
  );
}

/** The file's text; empty if it cannot be read: absence is the answer (no AppArmor, no os-release). */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
