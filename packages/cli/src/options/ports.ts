/** `-p [hostIP:][hostPort[-end]:]containerPort[-end][/protocol]` and `--expose`. */
import { BoxshipError } from '@boxship/base';

export interface PortOptions {
  readonly exposed: Record<string, object>;
  readonly bindings: Record<string, { HostIp: string; HostPort: string }[]>;
}

const fail = (message: string): never => {
  throw new BoxshipError('invalidArgument', message);
};

interface Range {
  readonly first: number;
  readonly last: number;
}

function parseRange(text: string, what: string): Range {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first > 65_535 || last > 65_535) return fail(`invalid ${what}: ${text}`);
  if (last < first) return fail(`invalid range specified for port: ${text}`);
  return { first, last };
}

/** @throws invalidArgument in docker's words */
export function parsePorts(published: readonly string[], exposed: readonly string[]): PortOptions {
  const result: PortOptions = { exposed: {}, bindings: {} };
  for (const text of exposed) {
    const [ports = '', protocol = 'tcp'] = text.split('/');
    const range = parseRange(ports, 'containerPort');
    for (let port = range.first; port <= range.last; port++) result.exposed[`${port}/${protocol.toLowerCase()}`] = {};
  }
  for (const text of published) addPublished(result, text);
  return result;
}

function addPublished(result: PortOptions, text: string): void {
  const [spec = '', protocolText = 'tcp'] = text.split('/');
  const protocol = protocolText.toLowerCase();
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) fail(`invalid proto: ${protocolText}`);
  const match = /^(?:(\[[^\]]*\]|[^:]*):)?(?:([^:]*):)?([^:]+)$/.exec(spec);
  if (match === null) fail(`invalid publish opts format (should be name=value but got '${text}')`);
  // with one colon the part in front is the host port; with two it is the address
  const [, first, second, container = ''] = match ?? [];
  const [ip, hostPort] = second === undefined ? ['', first ?? ''] : [first ?? '', second];
  const address = ip.replace(/^\[|\]$/g, '');
  if (address !== '' && !/^[0-9a-fA-F.:]+$/.test(address)) fail(`invalid IP address: ${address}`);
  const inside = parseRange(container, 'containerPort');
  const outside = hostPort === '' ? undefined : parseRange(hostPort, 'hostPort');
  const insideCount = inside.last - inside.first;
  const outsideCount = outside === undefined ? insideCount : outside.last - outside.first;
  if (outside !== undefined && outsideCount !== insideCount && insideCount !== 0)
    fail(`invalid ranges specified for container and host Ports: ${container} and ${hostPort}`);
  for (let offset = 0; offset <= insideCount; offset++) {
    const key = `${inside.first + offset}/${protocol}`;
    const host =
      outside === undefined
        ? ''
        : insideCount === 0 && outsideCount > 0
          ? `${outside.first}-${outside.last}`
          : String(outside.first + offset);
    result.exposed[key] = {};
    result.bindings[key] = [...(result.bindings[key] ?? []), { HostIp: address, HostPort: host }];
  }
}
