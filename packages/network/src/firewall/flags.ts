/** The part of the command line that speaks of the firewall. */
import { BoxshipError } from '@boxship/base';
import type { FirewallSettings } from './open.ts';

export const firewallFlags = {
  texts: ['firewall-backend'],
  switches: ['firewall-obeys-input', 'iptables', 'ip6tables'],
};

export const firewallUsage = ` of the firewall:
  --firewall-backend NAME      nftables or iptables (default: what the host has, nftables first)
  --firewall-obeys-input BOOL  published ports pass the host's INPUT rules first (default false; nftables only)
  --iptables BOOL              false: no rules at all (default true)
  --ip6tables BOOL             false: no rules for IPv6 (default true)
`;

/** @throws invalidArgument naming the flag */
export function firewallSettings(
  given: (name: string) => string | undefined,
  isOn: (name: string) => boolean | undefined,
): FirewallSettings {
  const backend = given('firewall-backend') ?? '';
  if (backend !== '' && backend !== 'nftables' && backend !== 'iptables')
    throw new BoxshipError('invalidArgument', `--firewall-backend ${backend}: nftables or iptables is needed`);
  return {
    backend: isOn('iptables') === false ? 'none' : backend || 'auto',
    hasIPv6: isOn('ip6tables') ?? true,
    obeysInput: isOn('firewall-obeys-input') ?? false,
  };
}
