/** What a network is when its creator says nothing: the one place for it, for the records and for the wire. */
import type { NetworkSpec } from './controller.ts';

export function completeSpec(spec: NetworkSpec): Required<NetworkSpec> {
  return {
    name: spec.name,
    driver: spec.driver,
    isInternal: spec.isInternal ?? false,
    enableIPv4: spec.enableIPv4 ?? true,
    enableIPv6: spec.enableIPv6 ?? false,
    isAttachable: spec.isAttachable ?? false,
    isIngress: spec.isIngress ?? false,
    isConfigOnly: spec.isConfigOnly ?? false,
    configFrom: spec.configFrom ?? '',
    ipamDriver: spec.ipamDriver ?? 'default',
    ipamOptions: { ...spec.ipamOptions },
    pools: spec.pools ?? [],
    options: { ...spec.options },
    labels: { ...spec.labels },
  };
}
