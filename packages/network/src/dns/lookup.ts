/** What a sandbox finds without asking anybody: the members of its networks, its links, its extra hosts. */
import { bytesToAddress } from '@boxship/linux';
import type { Endpoint } from '../controller.ts';
import type { SandboxRecord } from '../model.ts';
import type { NameIndex } from './names.ts';

/** An extra host as the resolver takes it: name in lower case, and address. */
export type ExtraHosts = ReadonlyMap<string, readonly string[]>;

/**
 * The addresses of a name, of both families, in no order; undefined when the name is nobody's here. A name is looked for on
 * each network of the sandbox: as it is, and as `NAME.NETWORK`.
 */
export function addressesOf(
  names: NameIndex,
  record: SandboxRecord,
  extraHosts: ExtraHosts,
  name: string,
): string[] | undefined {
  const lower = name.toLowerCase();
  const extra = extraHosts.get(lower);
  if (extra !== undefined) return [...extra];
  for (const { endpoint } of record.endpoints) {
    const suffix = `.${endpoint.networkName.toLowerCase()}`;
    const found =
      membersNamed(names, endpoint, lower) ??
      (lower.endsWith(suffix) ? membersNamed(names, endpoint, lower.slice(0, -suffix.length)) : undefined);
    if (found !== undefined)
      return found.flatMap(({ ipv4Address, ipv6Address }) => [ipv4Address, ipv6Address].filter((text) => text !== ''));
  }
  return undefined;
}

function membersNamed(names: NameIndex, own: Endpoint, lower: string): readonly Endpoint[] | undefined {
  // a link gives a name of this sandbox's own to a member: it goes before the names that all see
  for (const link of own.spec.links ?? []) {
    const [container = '', alias = container] = link.split(':');
    if (alias.toLowerCase() !== lower) continue;
    const linked = names.named(own.networkId, container);
    if (linked.length > 0) return linked;
  }
  const members = names.named(own.networkId, lower);
  return members.length === 0 ? undefined : members;
}

/** The name of a member of one of the sandbox's networks, from `2.0.17.172.in-addr.arpa`; undefined for other addresses. */
export function pointerOf(names: NameIndex, record: SandboxRecord, name: string): string | undefined {
  const address = addressFromPointer(name.toLowerCase());
  if (address === undefined) return undefined;
  for (const { endpoint } of record.endpoints) {
    const found = names
      .at(endpoint.networkId, address)
      ?.dnsNames.map((own) => `${own}.${endpoint.networkName}`)
      .find(isDnsName);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Containers and networks may be called what the DNS cannot carry: `a..b`, or a word of more than 63 letters. */
const isDnsName = (name: string): boolean =>
  name.length <= 253 && name.split('.').every((label) => label.length >= 1 && label.length <= 63);

function addressFromPointer(name: string): string | undefined {
  const [, v4] = /^(\d{1,3}(?:\.\d{1,3}){3})\.in-addr\.arpa$/.exec(name) ?? [];
  if (v4 !== undefined) return v4.split('.').reverse().map(Number).join('.');
  const [, v6] = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name) ?? [];
  return v6 === undefined ? undefined : bytesToAddress(Buffer.from(v6.split('.').reverse().join(''), 'hex'));
}
