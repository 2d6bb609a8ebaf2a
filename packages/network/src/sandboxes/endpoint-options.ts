/** Docker's driver options of one endpoint: the name of its interface, and kernel parameters of it. */
import { BoxshipError } from '@boxship/base';
import type { EndpointSpec } from '../controller.ts';
import { checkInterfaceName } from '../drivers/bridge/options.ts';

const interfaceNameKey = 'com.docker.network.endpoint.ifname';
const sysctlsKey = 'com.docker.network.endpoint.sysctls';
const placeholder = 'IFNAME';

/** The name asked for; undefined: the next number. @throws invalidArgument */
export function wantedInterfaceName({ driverOptions }: EndpointSpec): string | undefined {
  const name = driverOptions?.[interfaceNameKey];
  if (name !== undefined) checkInterfaceName(name, interfaceNameKey);
  return name;
}

/**
 * `net.ipv4.conf.IFNAME.log_martians=1,…` for an interface, as paths below `/proc/sys`. The interface stands where the
 * placeholder does and nowhere else, so that nothing but the interface is changed.
 * @throws invalidArgument naming the parameter
 */
export function interfaceSysctls(
  { driverOptions }: EndpointSpec,
  interfaceName: string,
): { path: string; value: string }[] {
  const text = driverOptions?.[sysctlsKey] ?? '';
  if (text === '') return [];
  return text.split(',').map((setting) => {
    const [, name, value] = /^([^=]+)=(\S*)$/.exec(setting) ?? [];
    const words = name?.split('.') ?? [];
    const isWhole =
      words.length === 5 &&
      words[0] === 'net' &&
      ['ipv4', 'ipv6', 'mpls'].includes(words[1] ?? '') &&
      words[3] === placeholder &&
      [words[2], words[4]].every((word) => /^[a-z0-9_]+$/.test(word ?? ''));
    if (!isWhole || value === undefined)
      throw new BoxshipError(
        'invalidArgument',
        `invalid option ${sysctlsKey}: "${setting}" is not of the form net.ipv4.conf.${placeholder}.name=value`,
      );
    // by slashes: the name of an interface may have dots
    return { path: words.map((word) => (word === placeholder ? interfaceName : word)).join('/'), value };
  });
}
