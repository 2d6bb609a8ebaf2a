/** The drivers without anything in the kernel: `host` shares the namespace of the controller, `null` has loopback only. */
import type { Driver } from './driver.ts';

export function plainDriver(name: 'host' | 'null'): Driver {
  return {
    name,
    hasInterfaces: false,
    hasHostEnds: false,
    assignsAddresses: false,
    validate() {},
    fillOptions: (_id, options) => ({ ...options }),
    assert() {},
    isPresent: () => true,
    async remove() {},
    firewall: () => undefined,
    interfacePrefix: () => '',
    join: (_network, record) => record,
    reattach() {},
    async leave() {},
  };
}
