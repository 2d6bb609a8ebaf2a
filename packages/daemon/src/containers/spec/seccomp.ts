/** Compiles the seccomp filter of one container: from our table, or from a profile in Docker's or OCI's JSON form. */
import { BoxshipError } from '@boxship/base';
import type { RuntimeSeccomp, RuntimeSeccompArgument, RuntimeSeccompSyscall } from '@boxship/oci';
import type { HostFacts } from '../../system/host-facts.ts';
import {
  AF_VSOCK,
  allowedPersonalities,
  alwaysAllowed,
  byArchitecture,
  byCapability,
  ENOSYS,
  EPERM,
  namespaceCloneFlags,
  safePtraceKernel,
} from './seccomp-table.ts';

const ALLOW = 'SCMP_ACT_ALLOW';
const ERRNO = 'SCMP_ACT_ERRNO';

const architectures: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  ppc64le: ['SCMP_ARCH_PPC64LE'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
  riscv64: ['SCMP_ARCH_RISCV64'],
};

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

function kernelAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const [, a = '0', b = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
}

/** The default filter for a container with these capabilities in its bounding set. */
export function defaultSeccomp(capabilities: readonly string[], host: HostFacts): RuntimeSeccomp {
  const held = new Set(capabilities);
  const names = new Set(Object.values(alwaysAllowed).flatMap(words));
  for (const name of words(byArchitecture[host.architecture] ?? '')) names.add(name);
  for (const [capability, list] of Object.entries(byCapability))
    if (held.has(capability)) for (const name of words(list)) names.add(name);
  if (kernelAtLeast(host.kernelVersion, safePtraceKernel))
    for (const name of ['ptrace', 'process_vm_readv', 'process_vm_writev']) names.add(name);
  const rules: RuntimeSeccompSyscall[] = [{ names: [...names].sort(), action: ALLOW }];
  const only = (name: string, argument: RuntimeSeccompArgument) =>
    rules.push({ names: [name], action: ALLOW, args: [argument] });
  for (const value of allowedPersonalities) only('personality', { index: 0, value, op: 'SCMP_CMP_EQ' });
  // addresses of the host's hypervisor are reachable through AF_VSOCK, past every network policy
  only('socket', { index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' });
  if (!held.has('CAP_SYS_ADMIN')) {
    // the flags argument is the second one on s390
    const index = host.architecture === 's390x' ? 1 : 0;
    only('clone', { index, value: namespaceCloneFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' });
    // its flags are in memory and cannot be judged; the C library falls back to clone on ENOSYS, not on EPERM
    rules.push({ names: ['clone3'], action: ERRNO, errnoRet: ENOSYS });
  }
  return {
    defaultAction: ERRNO,
    defaultErrnoRet: EPERM,
    architectures: architectures[host.architecture] ?? [],
    syscalls: rules,
  };
}

interface ProfileRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action?: string;
  readonly errnoRet?: number;
  readonly args?: readonly RuntimeSeccompArgument[] | null;
  readonly includes?: ProfileCondition;
  readonly excludes?: ProfileCondition;
}

interface ProfileCondition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

interface Profile {
  readonly defaultAction?: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] }[];
  readonly syscalls?: readonly ProfileRule[];
}

/** A profile as `--security-opt seccomp=` hands it over. @throws invalidArgument */
export function customSeccomp(text: string, capabilities: readonly string[], host: HostFacts): RuntimeSeccomp {
  let profile: Profile;
  try {
    profile = JSON.parse(text) as Profile;
  } catch (error) {
    throw new BoxshipError('invalidArgument', `Decoding seccomp profile failed: ${(error as Error).message}`);
  }
  if (typeof profile.defaultAction !== 'string')
    throw new BoxshipError('invalidArgument', 'Decoding seccomp profile failed: defaultAction is missing');
  const held = new Set(capabilities);
  const native = architectures[host.architecture] ?? [];
  const mapped = profile.archMap?.find((entry) => entry.architecture === native[0]);
  const matches = (condition: ProfileCondition | undefined, isExclusion: boolean): boolean => {
    const { caps = [], arches = [], minKernel } = condition ?? {};
    const isCapMet = isExclusion ? caps.some((cap) => held.has(cap)) : caps.every((cap) => held.has(cap));
    const isArchMet = arches.includes(host.architecture);
    const [major = 0, minor = 0] = (minKernel ?? '').split('.').map(Number);
    const isKernelMet = minKernel !== undefined && kernelAtLeast(host.kernelVersion, [major, minor]);
    if (isExclusion) return (caps.length > 0 && isCapMet) || isArchMet || isKernelMet;
    return isCapMet && (arches.length === 0 || isArchMet) && (minKernel === undefined || isKernelMet);
  };
  const syscalls = (profile.syscalls ?? [])
    .filter((rule) => matches(rule.includes, false) && !matches(rule.excludes, true))
    .map((rule) => ({
      names: rule.names ?? (rule.name === undefined ? [] : [rule.name]),
      action: rule.action ?? ALLOW,
      ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
      ...(rule.args === undefined || rule.args === null || rule.args.length === 0 ? {} : { args: rule.args }),
    }));
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures:
      mapped === undefined
        ? (profile.architectures ?? native)
        : [mapped.architecture, ...(mapped.subArchitectures ?? [])],
    ...(syscalls.length === 0 ? {} : { syscalls }),
  };
}
