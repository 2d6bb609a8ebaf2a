/** The options of bridge networks (`-o key=value`, Docker's names), parsed once into typed values. */
import { isIP } from 'node:net';
import { BoxshipError, shortId } from '@boxship/base';
import { type GatewayMode, gatewayModes } from '../../firewall/firewall.ts';

export const optionKey = {
  name: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  hostBinding: 'com.docker.network.bridge.host_binding_ipv4',
  isDefault: 'com.docker.network.bridge.default_bridge',
  inhibitIPv4: 'com.docker.network.bridge.inhibit_ipv4',
  gatewayModeIPv4: 'com.docker.network.bridge.gateway_mode_ipv4',
  gatewayModeIPv6: 'com.docker.network.bridge.gateway_mode_ipv6',
  trustedInterfaces: 'com.docker.network.bridge.trusted_host_interfaces',
  hostIPv4: 'com.docker.network.host_ipv4',
  hostIPv6: 'com.docker.network.host_ipv6',
  mtu: 'com.docker.network.driver.mtu',
  interfacePrefix: 'com.docker.network.container_iface_prefix',
} as const;

export interface BridgeOptions {
  readonly bridge: string;
  /** The name was asked for: an existing bridge of that name is used as it is. */
  readonly isNamed: boolean;
  readonly isIccEnabled: boolean;
  readonly isMasqueraded: boolean;
  /** Host address of ports published without one. */
  readonly hostBinding: string;
  readonly isAddressInhibited: boolean;
  readonly gatewayMode: { readonly 4: GatewayMode; readonly 6: GatewayMode };
  /** The host's address that containers going out are seen as; undefined: that of the interface they leave by. */
  readonly sourceAddress: { readonly 4: string | undefined; readonly 6: string | undefined };
  readonly trustedInterfaces: readonly string[];
  readonly mtu: number | undefined;
  readonly interfacePrefix: string;
}

/** @throws invalidArgument naming the option */
export function parseBridgeOptions(networkId: string, options: Readonly<Record<string, string>>): BridgeOptions {
  const name = options[optionKey.name];
  if (name !== undefined) checkInterfaceName(name, optionKey.name);
  const prefix = options[optionKey.interfacePrefix] ?? 'eth';
  checkInterfaceName(`${prefix}0`, optionKey.interfacePrefix);
  return {
    bridge: name ?? `br-${shortId(networkId)}`,
    isNamed: name !== undefined,
    isIccEnabled: flag(options, optionKey.icc, true),
    isMasqueraded: flag(options, optionKey.masquerade, true),
    hostBinding: options[optionKey.hostBinding] ?? '0.0.0.0',
    isAddressInhibited: flag(options, optionKey.inhibitIPv4, false),
    gatewayMode: { 4: modeOf(options, optionKey.gatewayModeIPv4), 6: modeOf(options, optionKey.gatewayModeIPv6) },
    sourceAddress: { 4: addressIn(options, optionKey.hostIPv4, 4), 6: addressIn(options, optionKey.hostIPv6, 6) },
    trustedInterfaces: trustedIn(options),
    mtu: mtuOf(options),
    interfacePrefix: prefix,
  };
}

/** Names reach the kernel and the firewall: a closed alphabet, 15 bytes. */
export function checkInterfaceName(name: string, what: string): void {
  if (!/^[a-zA-Z0-9_.-]{1,15}$/.test(name) || name === '.' || name === '..')
    throw new BoxshipError(
      'invalidArgument',
      `invalid interface name "${name}" in ${what}: up to 15 of letters, digits, "_", ".", "-"`,
    );
}

function flag(options: Readonly<Record<string, string>>, key: string, fallback: boolean): boolean {
  const value = options[key];
  if (value === undefined || value === '') return fallback;
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw unparsable(key, value, 'ParseBool');
}

/** Docker's text, with Go's name of the conversion that failed. */
const unparsable = (key: string, value: string, conversion: string): BoxshipError =>
  new BoxshipError(
    'invalidArgument',
    `failed to parse ${key} value: ${value} (strconv.${conversion}: parsing ${JSON.stringify(value)}: invalid syntax)`,
  );

function modeOf(options: Readonly<Record<string, string>>, key: string): GatewayMode {
  const value = options[key] || 'nat';
  const mode = gatewayModes.find((candidate) => candidate === value);
  if (mode === undefined) throw new BoxshipError('invalidArgument', `unknown gateway mode ${value}`);
  return mode;
}

function addressIn(options: Readonly<Record<string, string>>, key: string, family: 4 | 6): string | undefined {
  const value = options[key];
  if (value === undefined || value === '') return undefined;
  if (isIP(value) !== family)
    throw new BoxshipError('invalidArgument', `invalid value for option ${key}: "${value}" is no IPv${family} address`);
  return value;
}

function trustedIn(options: Readonly<Record<string, string>>): string[] {
  const names = (options[optionKey.trustedInterfaces] ?? '').split(':').filter((name) => name !== '');
  for (const name of names) checkInterfaceName(name, optionKey.trustedInterfaces);
  return names;
}

function mtuOf(options: Readonly<Record<string, string>>): number | undefined {
  const text = options[optionKey.mtu];
  if (text === undefined || text === '' || text === '0') return undefined;
  const mtu = Number(text);
  if (!Number.isInteger(mtu)) throw unparsable(optionKey.mtu, text, 'Atoi');
  if (mtu < 68 || mtu > 65_535)
    throw new BoxshipError('invalidArgument', `invalid value for option ${optionKey.mtu}: ${text}`);
  return mtu;
}
