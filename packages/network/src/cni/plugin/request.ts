/** What a runtime says to the plugin: environment and network configuration, checked once into a typed request. */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import type { AddressPool } from '../../controller.ts';
import { type CniResult, cniCode, cniVersions } from '../protocol.ts';
import { CniFailure } from './failure.ts';

export const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type CniCommand = (typeof commands)[number];

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIP: string;
}

export interface NetworkConfiguration {
  readonly cniVersion: string;
  /** Of the CNI network, and of ours unless `network` says otherwise. */
  readonly name: string;
  readonly network: string;
  /** For a network that is not there yet. */
  readonly driver: string;
  readonly isInternal: boolean;
  readonly hasIPv6: boolean;
  readonly pools: readonly AddressPool[];
  readonly options: Readonly<Record<string, string>>;
  /** Socket of boxship-networkd. */
  readonly socket: string;
  readonly portMappings: readonly PortMapping[];
  readonly ips: readonly string[];
  readonly mac: string;
  readonly aliases: readonly string[];
  readonly previousResult: CniResult | undefined;
  /** GC: what is in use. undefined: not said. */
  readonly validAttachments: readonly { readonly containerID: string; readonly ifname: string }[] | undefined;
}

export interface CniRequest {
  readonly command: CniCommand;
  readonly containerId: string;
  /** Path of the namespace; empty on DEL when it is gone. */
  readonly namespace: string;
  readonly interfaceName: string;
  readonly configuration: NetworkConfiguration;
}

const required: Readonly<Record<CniCommand, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: ['CNI_PATH'],
  VERSION: [],
};

/** The part that must be known before the configuration is looked at. @throws CniFailure */
export function parseEnvironment(env: NodeJS.ProcessEnv): Omit<CniRequest, 'configuration'> {
  const command = commands.find((candidate) => candidate === env['CNI_COMMAND']);
  if (command === undefined)
    throw new CniFailure(cniCode.badEnvironment, `unknown CNI_COMMAND: ${env['CNI_COMMAND'] ?? ''}`);
  const missing = required[command].filter((name) => (env[name] ?? '') === '');
  if (missing.length > 0)
    throw new CniFailure(cniCode.badEnvironment, `required env variables [${missing.join(',')}] missing`);
  const containerId = env['CNI_CONTAINERID'] ?? '';
  if (containerId !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId))
    throw new CniFailure(cniCode.badEnvironment, 'invalid characters in containerID', containerId);
  const interfaceName = env['CNI_IFNAME'] ?? '';
  if (interfaceName !== '' && (!/^[^/:\s]{1,15}$/.test(interfaceName) || /^\.\.?$/.test(interfaceName)))
    throw new CniFailure(cniCode.badEnvironment, 'interface name is invalid', interfaceName);
  return { command, containerId, namespace: env['CNI_NETNS'] ?? '', interfaceName };
}

type Json = Readonly<Record<string, unknown>>;
const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const bad = (message: string, details?: string) => new CniFailure(cniCode.badConfiguration, message, details);

/** @throws CniFailure for what is no configuration of a network of ours */
export function parseConfiguration(input: string): NetworkConfiguration {
  let parsed: unknown;
  try {
    parsed = JSON.parse(input);
  } catch (error) {
    throw new CniFailure(cniCode.decoding, 'the network configuration is no JSON', String(error));
  }
  const conf = object(parsed);
  const cniVersion = text(conf['cniVersion']) || '0.1.0';
  if (!cniVersions.some((version) => version === cniVersion))
    throw new CniFailure(
      cniCode.incompatibleVersion,
      'incompatible CNI versions',
      `config is "${cniVersion}", plugin supports ${JSON.stringify(cniVersions)}`,
    );
  const name = text(conf['name']);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw bad('invalid network name', name);
  const ipam = object(conf['ipam']);
  if (text(ipam['type']) !== '')
    throw bad('ipam.type is not for this plugin: addresses are given by boxship-networkd', text(ipam['type']));
  const runtime = object(conf['runtimeConfig']);
  const attachments = conf['cni.dev/valid-attachments'];
  return {
    cniVersion,
    name,
    network: text(conf['network']) || name,
    driver: text(conf['driver']) || 'bridge',
    isInternal: conf['internal'] === true,
    hasIPv6: conf['ipv6'] === true,
    pools: poolsOf(ipam),
    options: Object.fromEntries(Object.entries(object(conf['options'])).map(([key, value]) => [key, String(value)])),
    socket: text(conf['socket']) || defaultSocket(),
    portMappings: list(runtime['portMappings']).map((mapping) => portMapping(object(mapping))),
    ips: list(runtime['ips']).map((address) => text(address).split('/')[0] ?? ''),
    mac: text(runtime['mac']),
    aliases: list(object(runtime['aliases'])[name]).map(text),
    previousResult: conf['prevResult'] === undefined ? undefined : (object(conf['prevResult']) as unknown as CniResult),
    validAttachments: Array.isArray(attachments)
      ? attachments.map((attachment) => {
          const { containerID, ifname } = object(attachment);
          return { containerID: text(containerID), ifname: text(ifname) };
        })
      : undefined,
  };
}

/** `ipam: { subnet, rangeStart?…, gateway }` or `ipam: { ranges: [[{ subnet, gateway }]] }`, as host-local has them. */
function poolsOf(ipam: Json): AddressPool[] {
  const ranges = [ipam, ...list(ipam['ranges']).flatMap((set) => list(set).map(object))];
  return ranges.flatMap((range) => {
    const subnet = text(range['subnet']);
    if (subnet === '') return [];
    const gateway = text(range['gateway']);
    const ipRange = text(range['ipRange']);
    if (gateway !== '' && isIP(gateway) === 0) throw bad('ipam.gateway is no address', gateway);
    return [{ subnet, ...(gateway === '' ? {} : { gateway }), ...(ipRange === '' ? {} : { ipRange }) }];
  });
}

function portMapping(mapping: Json): PortMapping {
  const protocol = text(mapping['protocol']).toLowerCase() || 'tcp';
  const { hostPort, containerPort } = mapping;
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
    throw bad('unknown protocol of a port', protocol);
  if (typeof hostPort !== 'number' || typeof containerPort !== 'number')
    throw bad('a port mapping needs hostPort and containerPort', JSON.stringify(mapping));
  return { hostPort, containerPort, protocol, hostIP: text(mapping['hostIP']) };
}

/** Where an engine serves, else where a networkd of its own does. */
function defaultSocket(): string {
  const ofEngine = '/run/boxship/network/networkd.sock';
  return process.env['BOXSHIP_NETWORK_ADDRESS'] ?? (existsSync(ofEngine) ? ofEngine : '/run/boxship/network.sock');
}
