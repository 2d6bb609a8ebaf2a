/** The options of overlay networks (`-o key=value`, Docker's names), parsed once into typed values. */
import { BoxshipError } from '@boxship/base';

export const overlayOption = {
  vni: 'com.docker.network.driver.overlay.vxlanid_list',
  mtu: 'com.docker.network.driver.mtu',
  encrypted: 'encrypted',
  interfacePrefix: 'com.docker.network.container_iface_prefix',
} as const;

/** Docker's first number; below are those that people give by hand. */
export const firstVni = 4096;
export const lastVni = 0xffffff;

export interface OverlayOptions {
  /** VXLAN network identifier; undefined: to be chosen. */
  readonly vni: number | undefined;
  /** undefined: what the interface of the host leaves. */
  readonly mtu: number | undefined;
}

/** @throws invalidArgument, unimplemented naming the option */
export function parseOverlayOptions(options: Readonly<Record<string, string>>): OverlayOptions {
  const known: readonly string[] = Object.values(overlayOption);
  for (const key of Object.keys(options))
    if (!known.includes(key) && key.startsWith('com.docker.network.'))
      throw new BoxshipError('invalidArgument', `option ${key} means nothing to overlay networks`);
  const encrypted = options[overlayOption.encrypted];
  if (encrypted !== undefined && !/^(0|f|false)$/i.test(encrypted))
    throw new BoxshipError(
      'unimplemented',
      'an overlay network cannot be encrypted here: that takes ESP of IPsec in the kernel, which is not set up. ' +
        'Without the option its packets cross the network between the hosts in the clear',
    );
  return {
    vni: numberIn(options, overlayOption.vni, 1, lastVni),
    mtu: numberIn(options, overlayOption.mtu, 68, 65_535),
  };
}

function numberIn(
  options: Readonly<Record<string, string>>,
  key: string,
  least: number,
  most: number,
): number | undefined {
  const text = options[key];
  if (text === undefined || text === '' || text === '0') return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < least || number > most)
    throw new BoxshipError('invalidArgument', `invalid value for option ${key}: ${text}`);
  return number;
}
