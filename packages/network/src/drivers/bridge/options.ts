/** The options of bridge networks (`-o key=value`, Docker's names), parsed once into typed values. */
import { BoxshipError, shortId } from '@boxship/base';

export const optionKey = {
  name: 'com.docker.network.bridge.name',
  icc: 'com.docker.network.bridge.enable_icc',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  hostBinding: 'com.docker.network.bridge.host_binding_ipv4',
  isDefault: 'com.docker.network.bridge.default_bridge',
  inhibitIPv4: 'com.docker.network.bridge.inhibit_ipv4',
  gatewayModeIPv4: 'com.docker.network.bridge.gateway_mode_ipv4',
  gatewayModeIPv6: 'com.docker.network.bridge.gateway_mode_ipv6',
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
  readonly mtu: number | undefined;
  readonly interfacePrefix: string;
}

/** @throws invalidArgument naming the option */
export function parseBridgeOptions(networkId: string, options: Readonly<Record<string, string>>): BridgeOptions {
  const name = options[optionKey.name];
  if (name !== undefined) checkInterfaceName(name, optionKey.name);
  const prefix = options[optionKey.interfacePrefix] ?? 'eth';
  checkInterfaceName(`${prefix}0`, optionKey.interfacePrefix);
  for (const key of [optionKey.gatewayModeIPv4, optionKey.gatewayModeIPv6]) {
    const mode = options[key];
    if (mode !== undefined && mode !== 'nat')
      throw new BoxshipError('invalidArgument', `option ${key}=${mode} is not supported: only nat`);
  }
  return {
    bridge: name ?? `br-${shortId(networkId)}`,
    isNamed: name !== undefined,
    isIccEnabled: flag(options, optionKey.icc, true),
    isMasqueraded: flag(options, optionKey.masquerade, true),
    hostBinding: options[optionKey.hostBinding] ?? '0.0.0.0',
    isAddressInhibited: flag(options, optionKey.inhibitIPv4, false),
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
  throw new BoxshipError('invalidArgument', `invalid value for option ${key}: "${value}" is neither true nor false`);
}

function mtuOf(options: Readonly<Record<string, string>>): number | undefined {
  const text = options[optionKey.mtu];
  if (text === undefined || text === '' || text === '0') return undefined;
  const mtu = Number(text);
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535)
    throw new BoxshipError('invalidArgument', `invalid value for option ${optionKey.mtu}: ${text}`);
  return mtu;
}
