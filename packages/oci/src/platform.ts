/**
 * Platforms `os/arch[/variant]`: parsing with the usual aliases, and which image fits a host best. The preference lists are
 * those of containerd's matcher: an arm64 host also runs arm images, an amd64/v3 request never falls back to plain amd64.
 */
import { readFileSync } from 'node:fs';
import { arch } from 'node:os';
import { BoxshipError } from '@boxship/base';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

const architectureAliases: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  i486: ['386'],
  i586: ['386'],
  i686: ['386'],
  x86: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};

const operatingSystems = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos'.split(
    ' ',
  ),
);
const architectures = new Set(
  '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  ),
);

/** The canonical spelling: aliases replaced, default variants dropped (arm64/v8) or added (arm → arm/v7). */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  let architecture = platform.architecture.toLowerCase();
  let variant = (platform.variant ?? '').toLowerCase();
  const alias = architectureAliases[architecture];
  if (alias !== undefined) {
    architecture = alias[0];
    if (alias[1] !== undefined && variant === '') variant = alias[1];
  }
  if (architecture === 'arm64' && (variant === 'v8' || variant === '8')) variant = '';
  else if (architecture === 'amd64' && variant === 'v1') variant = '';
  else if (architecture === 'arm') variant = variant === '' ? 'v7' : /^\d$/.test(variant) ? `v${variant}` : variant;
  return {
    os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(platform['os.version'] === undefined ? {} : { 'os.version': platform['os.version'] }),
    ...(platform['os.features'] === undefined ? {} : { 'os.features': platform['os.features'] }),
  };
}

/**
 * Parses `os[(version)]`, `arch`, `os/arch` or `os/arch/variant`; a bare os takes the host's architecture and the reverse.
 * @throws invalidArgument
 */
export function parsePlatform(specifier: string): Platform {
  const fail = (): never => {
    throw new BoxshipError('invalidArgument', `${JSON.stringify(specifier)}: unknown operating system or architecture`);
  };
  const parts = specifier.split('/');
  for (const [index, part] of parts.entries()) {
    const pattern = index === 0 ? /^[A-Za-z0-9_.-]+(?:\([A-Za-z0-9_.-]*\))?$/ : /^[A-Za-z0-9_.-]+$/;
    if (!pattern.test(part))
      throw new BoxshipError(
        'invalidArgument',
        `${JSON.stringify(part)} is an invalid component of ${JSON.stringify(specifier)}: platform specifier component must match ${JSON.stringify(pattern.source)}`,
      );
  }
  const [first = '', second, third] = parts;
  const withVersion = /^([^(]+)(?:\(([^)]*)\))?$/.exec(first);
  const os = withVersion?.[1] ?? first;
  const version = withVersion?.[2] ? { 'os.version': withVersion[2] } : {};
  const host = hostPlatform();
  if (parts.length === 1) {
    if (operatingSystems.has(os.toLowerCase()) || os.toLowerCase() === 'macos')
      return { ...host, ...normalizePlatform({ os, architecture: host.architecture }), ...version };
    const architecture = normalizePlatform({ os: host.os, architecture: os });
    return architectures.has(architecture.architecture) ? architecture : fail();
  }
  if (parts.length > 3 || second === undefined)
    throw new BoxshipError('invalidArgument', `${JSON.stringify(specifier)}: cannot parse platform specifier`);
  return normalizePlatform({
    os,
    architecture: second,
    ...(third === undefined ? {} : { variant: third }),
    ...version,
  });
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === '') return 'unknown';
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part !== undefined && part !== '')
    .join('/');
}

let host: Platform | undefined;

/** The platform of this machine. */
export function hostPlatform(): Platform {
  host ??= normalizePlatform({ os: 'linux', architecture: hostArchitecture(), ...hostVariant() });
  return host;
}

function hostArchitecture(): string {
  const name = arch();
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', mipsel: 'mipsle' };
  return names[name] ?? name;
}

function hostVariant(): { variant?: string } {
  if (arch() !== 'arm') return {};
  try {
    const version = /^CPU architecture\s*:\s*(\d+)/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    return version === undefined ? {} : { variant: `v${Math.min(Number(version), 7)}` };
  } catch {
    return {}; // without /proc the default of the architecture has to do
  }
}

/** What runs on `platform`, best first. */
export function acceptedPlatforms(platform: Platform): Platform[] {
  const wanted = normalizePlatform(platform);
  const { os, architecture, variant } = wanted;
  if (architecture === 'arm64' && (variant === undefined || /^v[89](\.\d)?$/.test(variant))) {
    const own = variant === undefined ? [wanted] : [wanted, { os, architecture }];
    return [...own, ...['v8', 'v7', 'v6', 'v5'].map((v) => ({ os, architecture: 'arm', variant: v }))];
  }
  if (architecture === 'arm') {
    const level = Number(/^v(\d)/.exec(variant ?? 'v7')?.[1] ?? 7);
    const levels = [8, 7, 6, 5].filter((v) => v <= level);
    return levels.map((v) => ({ os, architecture, variant: `v${v}` }));
  }
  return [wanted];
}

/** A rank for choosing among candidates: 0 is best, undefined does not run there. */
export function platformRank(host: Platform, candidate: Platform): number | undefined {
  const offered = normalizePlatform(candidate);
  const rank = acceptedPlatforms(host).findIndex(
    (accepted) =>
      accepted.os === offered.os &&
      accepted.architecture === offered.architecture &&
      (accepted.variant ?? '') === (offered.variant ?? ''),
  );
  if (rank < 0) return undefined;
  const wantedVersion = host['os.version'];
  return wantedVersion !== undefined && offered['os.version'] !== undefined && wantedVersion !== offered['os.version']
    ? undefined
    : rank;
}

/** The candidates that fit, best first; equal ones stay in the order given. */
export function selectPlatform<T>(
  host: Platform,
  candidates: readonly T[],
  platformOf: (candidate: T) => Platform | undefined,
): T[] {
  return candidates
    .map((candidate) => {
      const platform = platformOf(candidate);
      return { candidate, rank: platform === undefined ? undefined : platformRank(host, platform) };
    })
    .filter((entry): entry is { candidate: T; rank: number } => entry.rank !== undefined)
    .sort((a, b) => a.rank - b.rank)
    .map((entry) => entry.candidate);
}
