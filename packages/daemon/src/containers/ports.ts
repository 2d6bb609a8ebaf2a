/** Ports as the API writes them: `80`, `80/tcp`, `8000-8010/udp`; bindings to host ports or ranges. */
import { BoxshipError } from '@boxship/base';
import type { ContainerConfig, HostConfig, PortBinding } from '@boxship/engine-api';
import type { PortRequest } from '@boxship/network';

export interface Port {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

/** @throws invalidArgument */
export function parsePortSpec(spec: string): Port[] {
  const [, first, last = first, protocol = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-zA-Z]+))?$/.exec(spec) ?? [];
  const kind = protocol.toLowerCase();
  const [from, to] = [Number(first), Number(last)];
  if (first === undefined || from > 65_535 || to > 65_535 || to < from)
    throw new BoxshipError('invalidArgument', `invalid port specification: "${spec}"`);
  if (kind !== 'tcp' && kind !== 'udp' && kind !== 'sctp')
    throw new BoxshipError('invalidArgument', `invalid proto: ${protocol}`);
  return Array.from({ length: to - from + 1 }, (_, index) => ({ port: from + index, protocol: kind }));
}

/** Checks what can never work. @throws invalidArgument */
export function checkPortBindings(bindings: Readonly<Record<string, readonly PortBinding[]>>): void {
  for (const [spec, list] of Object.entries(bindings)) {
    parsePortSpec(spec);
    for (const binding of list) hostPorts(binding);
  }
}

function hostPorts(binding: PortBinding): [number, number | undefined] {
  const text = binding.HostPort ?? '';
  if (text === '') return [0, undefined];
  const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined || Number(first) > 65_535 || Number(last ?? 0) > 65_535)
    throw new BoxshipError('invalidArgument', `invalid port specification: "${text}"`);
  return [Number(first), last === undefined ? undefined : Number(last)];
}

/** What the network has to publish. */
export function portRequests(config: ContainerConfig, hostConfig: HostConfig): PortRequest[] {
  const requests: PortRequest[] = [];
  const bound = new Set<string>();
  for (const [spec, bindings] of Object.entries(hostConfig.PortBindings))
    for (const { port, protocol } of parsePortSpec(spec)) {
      for (const binding of bindings) {
        const [hostPort, hostPortEnd] = hostPorts(binding);
        bound.add(`${port}/${protocol}`);
        requests.push({
          protocol,
          containerPort: port,
          hostIp: binding.HostIp ?? '',
          hostPort,
          ...(hostPortEnd === undefined ? {} : { hostPortEnd }),
        });
      }
    }
  if (hostConfig.PublishAllPorts)
    for (const spec of Object.keys(config.ExposedPorts ?? {}))
      for (const { port, protocol } of parsePortSpec(spec))
        if (!bound.has(`${port}/${protocol}`))
          requests.push({ protocol, containerPort: port, hostIp: '', hostPort: 0 });
  return requests;
}
