import type { HostConfig } from '@boxship/engine-api';
import type { HostFacts } from '../../system/host-facts.ts';
import { parseSecurityOptions } from './security.ts';

/** The profile of a container as inspect names it; empty where the kernel has no AppArmor. */
export function appArmorProfileOf(hostConfig: Pick<HostConfig, 'Privileged' | 'SecurityOpt'>, host: HostFacts): string {
  if (!host.hasAppArmor) return '';
  const asked = parseSecurityOptions(hostConfig.SecurityOpt ?? []).appArmor;
  if (asked !== undefined) return asked;
  return hostConfig.Privileged ? 'unconfined' : host.appArmorProfile;
}
