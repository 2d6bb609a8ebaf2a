/** Chooses the driver of the firewall: the one asked for, else what the host can do. */
import { BoxshipError, type Logger } from '@boxship/base';
import { isErrno, NftSocket } from '@boxship/linux';
import type { Store } from '../store/store.ts';
import type { Firewall, FirewallOptions } from './firewall.ts';
import { hasIptables, IptablesFirewall } from './iptables/driver.ts';
import { NftablesFirewall } from './nftables/driver.ts';
import { noFirewall } from './none.ts';

export interface FirewallSettings {
  /** `auto`: nftables, else iptables. `none`: no rules at all; published ports are carried by the controller itself. */
  readonly backend: 'auto' | 'nftables' | 'iptables' | 'none';
  readonly hasIPv6: boolean;
  /** See {@link FirewallOptions}. With nftables only. */
  readonly obeysInput: boolean;
}

export const defaultFirewallSettings: FirewallSettings = {
  backend: 'auto',
  hasIPv6: true,
  obeysInput: false,
};

export interface OpenFirewallOptions extends Pick<FirewallOptions, 'instanceId' | 'state'> {
  readonly settings: FirewallSettings;
  readonly store: Store;
  readonly log: Logger;
}

const lastUsedKey = 'firewall';

/**
 * Rules that an earlier start made with another driver are taken out.
 * @throws failedPrecondition when the host has nothing of what was asked for
 */
export async function openFirewall(options: OpenFirewallOptions): Promise<Firewall> {
  const { settings, store, log } = options;
  const { backend: wanted, hasIPv6, obeysInput } = settings;
  const backend = wanted === 'auto' ? await probe() : wanted;
  if (obeysInput && backend !== 'nftables')
    throw new BoxshipError(
      'failedPrecondition',
      `published ports obey INPUT with nftables only, not with ${backend}: rules of iptables cannot stand behind every filter of the host`,
    );
  const firewallOptions = { instanceId: options.instanceId, state: options.state, hasIPv6, obeysInput };
  const open = async (name: string): Promise<Firewall> => {
    if (name === 'nftables') return new NftablesFirewall(firewallOptions, log);
    if (name === 'iptables') return await IptablesFirewall.open(firewallOptions, log);
    return noFirewall();
  };
  const lastUsed = store.meta(lastUsedKey);
  if (lastUsed !== undefined && lastUsed !== backend) {
    await using former = await open(lastUsed);
    await former.remove();
    log.info('rules of the former firewall backend are taken out', { former: lastUsed, backend });
  }
  const firewall = await open(backend);
  if (lastUsed !== backend) store.setMeta(lastUsedKey, backend);
  return firewall;
}

async function probe(): Promise<'nftables' | 'iptables'> {
  try {
    using nft = NftSocket.open();
    nft.generation();
    return 'nftables';
  } catch (error) {
    // a kernel without nf_tables knows neither the subsystem nor its messages
    if (!isErrno(error, 'EPROTONOSUPPORT', 'EINVAL', 'EOPNOTSUPP')) throw error;
  }
  if (await hasIptables()) return 'iptables';
  throw new BoxshipError(
    'failedPrecondition',
    'no firewall: the kernel has no nf_tables and there is no iptables-restore; --iptables=false does without',
  );
}
