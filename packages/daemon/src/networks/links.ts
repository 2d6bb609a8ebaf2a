/**
 * Legacy links: on the default bridge, where members have no names in the DNS, a container is told of another one by a line in
 * its `/etc/hosts` (the network's affair) and by environment variables. On user networks a link is a name, and nothing of this.
 */
import { BoxshipError } from '@boxship/base';
import type { HostConfig } from '@boxship/engine-api';
import { type Container, type ContainerRecord, isTaskAlive, type LinkRecord } from '../containers/model.ts';
import { type Port, parsePortSpec } from '../containers/ports.ts';
import { containerOfMode } from '../containers/spec/namespaces.ts';
import type { Parts } from '../parts.ts';

const unnamed = new Set(['bridge', 'none']);

/** The containers that the links of a create name. @throws invalidArgument in Docker's words */
export function resolveLinks(parts: Parts, hostConfig: HostConfig): LinkRecord[] {
  if (!unnamed.has(hostConfig.NetworkMode)) return [];
  return (hostConfig.Links ?? []).map((text) => {
    const { name, alias } = parseLink(text);
    const { id, record } = linked(parts, name);
    return { id, name: record.name, alias };
  });
}

/** `NAME[:ALIAS]`; in the form of inspect the alias is a path. */
function parseLink(text: string): { name: string; alias: string } {
  const [name = '', alias = name, ...rest] = text.split(':');
  if (name === '' || rest.length > 0) throw new BoxshipError('invalidArgument', `bad format for links: ${text}`);
  return { name, alias: alias.slice(alias.lastIndexOf('/') + 1) };
}

function linked(parts: Parts, name: string): Container {
  let container: Container;
  try {
    container = parts.containers.get(name);
  } catch (error) {
    // "not found" would mean the image to a client
    throw new BoxshipError(
      'invalidArgument',
      `could not get container for ${name}: ${BoxshipError.from(error).message}`,
    );
  }
  const { NetworkMode } = container.record.hostConfig;
  if (NetworkMode === 'host')
    throw new BoxshipError(
      'invalidArgument',
      `conflicting options: host type networking can't be used with links. This would result in undefined behavior`,
    );
  const owner = containerOfMode(NetworkMode);
  return owner === undefined ? container : linked(parts, owner);
}

/** As inspect shows them: `/CHILD:/PARENT/ALIAS`. */
export function shownLinks(parts: Parts, record: ContainerRecord): string[] | null {
  const links = record.links ?? [];
  if (links.length === 0) return null;
  return links.map(
    ({ id, name, alias }) => `/${parts.containers.byId(id)?.record.name ?? name}:/${record.name}/${alias}`,
  );
}

/** The further names that the links of others give to containers, by id: `/PARENT/ALIAS`. */
export function linkNames(parts: Parts): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { record } of parts.containers.list())
    for (const { id, alias } of record.links ?? [])
      names.set(id, [...(names.get(id) ?? []), `/${record.name}/${alias}`]);
  return names;
}

/** Before a start. @throws internal (Docker's status 500) in Docker's words for a container that does not run or is elsewhere */
export function checkLinks(parts: Parts, record: ContainerRecord): void {
  if (record.endpoints['bridge'] === undefined) return;
  for (const { id, name, alias } of record.links ?? []) {
    const child = parts.containers.byId(id);
    const shown = child?.record.name ?? name;
    if (child === undefined || !isTaskAlive(child))
      throw new BoxshipError(
        'internal',
        `Cannot link to a non running container: /${shown} AS /${record.name}/${alias}`,
      );
    if (addressOf(child) === undefined)
      throw new BoxshipError('internal', `Cannot link to /${shown}, as it does not belong to the default network`);
  }
}

const addressOf = (child: Container): string | undefined =>
  child.record.sandbox?.endpoints.find((endpoint) => endpoint.networkName === 'bridge')?.ipv4Address;

/** What a container is told of those it is linked to. One that does not run (any more) is left out. */
export function linkedEnvironment(parts: Parts, record: ContainerRecord): string[] {
  if (record.endpoints['bridge'] === undefined) return [];
  return (record.links ?? []).flatMap(({ id, alias }) => {
    const child = parts.containers.byId(id);
    const address = child === undefined || !isTaskAlive(child) ? undefined : addressOf(child);
    if (child === undefined || address === undefined) return [];
    return variablesOf({
      alias,
      address,
      name: `/${record.name}/${alias}`,
      ports: Object.keys(child.record.config.ExposedPorts ?? {}).flatMap(parsePortSpec),
      env: child.record.config.Env ?? [],
    });
  });
}

interface Link {
  readonly alias: string;
  readonly name: string;
  readonly address: string;
  readonly ports: readonly Port[];
  readonly env: readonly string[];
}

/** Docker's variables of one link. */
export function variablesOf({ alias, name, address, ports, env }: Link): string[] {
  const prefix = alias.replaceAll('-', '_').toUpperCase();
  const url = ({ protocol, port }: Port): string => `${protocol}://${address}:${port}`;
  const keyOf = ({ protocol, port }: Port): string => `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
  const sorted = [...ports].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
  const variables: string[] = [];
  const [first] = sorted;
  if (first !== undefined) variables.push(`${prefix}_PORT=${url(first)}`);
  for (const [start, end] of rangesOf(sorted)) {
    const key = keyOf(start);
    if (end !== start)
      variables.push(
        ...[`${key}_START=${url(start)}`, `${key}_PORT_START=${start.port}`],
        ...[`${key}_END=${url(end)}`, `${key}_PORT_END=${end.port}`],
      );
  }
  for (const port of sorted) {
    const key = keyOf(port);
    variables.push(`${key}=${url(port)}`, `${key}_ADDR=${address}`, `${key}_PORT=${port.port}`);
    variables.push(`${key}_PROTO=${port.protocol}`);
  }
  variables.push(`${prefix}_NAME=${name}`);
  for (const variable of env) {
    const at = variable.indexOf('=');
    const key = variable.slice(0, at);
    // its own home and search path mean nothing elsewhere
    if (at > 0 && key !== 'HOME' && key !== 'PATH') variables.push(`${prefix}_ENV_${variable}`);
  }
  return variables;
}

/** Runs of neighbouring ports of one protocol. */
function rangesOf(sorted: readonly Port[]): [Port, Port][] {
  const ranges: [Port, Port][] = [];
  for (const port of sorted) {
    const open = ranges.find(([, end]) => end.protocol === port.protocol && end.port + 1 === port.port);
    if (open === undefined) ranges.push([port, port]);
    else open[1] = port;
  }
  return ranges;
}
