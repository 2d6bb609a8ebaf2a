/** The options of macvlan and ipvlan networks (`-o key=value`, Docker's names), parsed once into typed values. */
import { BoxshipError } from '@boxship/base';
import { type ChildKind, ipvlanFlags, ipvlanModes, macvlanModes } from '@boxship/linux';
import { checkInterfaceName } from '../bridge/options.ts';

export type ChildDriverName = 'macvlan' | 'ipvlan';

export interface ChildOptions {
  /** Name of the interface of the host; undefined: the network is internal, its parent our own. */
  readonly parent: string | undefined;
  readonly type: ChildKind;
  /** Containers have no next hop: their default route is the interface itself (ipvlan l3). */
  readonly isRouted: boolean;
  readonly mtu: number | undefined;
}

const mtuKey = 'com.docker.network.driver.mtu';

/** @throws invalidArgument naming the option */
export function parseChildOptions(driver: ChildDriverName, options: Readonly<Record<string, string>>): ChildOptions {
  const parent = options['parent'] || undefined;
  if (parent !== undefined) {
    checkInterfaceName(parent, 'parent');
    if (parent === 'lo') throw new BoxshipError('invalidArgument', 'loopback interface is not a valid parent: lo');
  }
  const type: ChildKind =
    driver === 'macvlan'
      ? { kind: driver, mode: choice(options, 'macvlan_mode', macvlanModes, 'bridge') }
      : {
          kind: driver,
          mode: choice(options, 'ipvlan_mode', ipvlanModes, 'l2'),
          flag: choice(options, 'ipvlan_flag', ipvlanFlags, 'bridge'),
        };
  return { parent, type, isRouted: type.kind === 'ipvlan' && type.mode !== 'l2', mtu: mtuOf(options[mtuKey]) };
}

function choice<T extends object>(
  options: Readonly<Record<string, string>>,
  key: string,
  values: T,
  fallback: keyof T & string,
): keyof T & string {
  const value = options[key] || fallback;
  const found = (Object.keys(values) as (keyof T & string)[]).find((candidate) => candidate === value);
  if (found !== undefined) return found;
  const known = Object.keys(values).join(', ');
  throw new BoxshipError('invalidArgument', `option ${key}=${value} is unknown: one of ${known}`);
}

function mtuOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '' || text === '0') return undefined;
  const mtu = Number(text);
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535)
    throw new BoxshipError('invalidArgument', `invalid value for option ${mtuKey}: ${text}`);
  return mtu;
}
