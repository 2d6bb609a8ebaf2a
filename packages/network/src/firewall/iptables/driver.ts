/**
 * The iptables driver, for hosts whose administrators live in iptables, and kernels without nf_tables. Every change is one
 * `iptables-restore --noflush` per family, and only of the chains that differ; changes that are asked for while one is under
 * way become one together.
 */
import { BoxshipError, type Logger } from '@boxship/base';
import { NetlinkSocket, NftWatch, netlinkProtocol } from '@boxship/linux';
import {
  type Firewall,
  type FirewallNetwork,
  type FirewallOptions,
  type FirewallPort,
  portKey,
  portsWithout,
} from '../firewall.ts';
import { forgetFlows } from '../flows.ts';
import { headChains, iptablesRules, ownChains } from './ruleset.ts';
import { iptablesVersion, planChange, type Rules, restoreTables, saveTables } from './tables.ts';

const watchEveryMs = 250;
/** The legacy variant tells nobody of changes: its rules are read again and again. */
const readEveryMs = 1500;
const none: Rules = new Map();

export async function hasIptables(): Promise<boolean> {
  try {
    await iptablesVersion();
    return true;
  } catch (error) {
    if (BoxshipError.is(error, 'failedPrecondition')) return false;
    throw error;
  }
}

export class IptablesFirewall implements Firewall {
  readonly backend = 'iptables';
  readonly #options: FirewallOptions;
  readonly #log: Logger;
  readonly #comment: string;
  /** undefined: the legacy variant. */
  readonly #changes: NftWatch | undefined;
  readonly #conntrack = NetlinkSocket.open(netlinkProtocol.netfilter);
  #networks: readonly FirewallNetwork[] = [];
  #uplinks: readonly string[] = [];
  readonly #ports = new Map<string, FirewallPort>();
  #running: Promise<number> | undefined;
  #next: Promise<number> | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: FirewallOptions, log: Logger, isLegacy: boolean) {
    this.#options = options;
    this.#log = log;
    const name = `boxship-${options.instanceId}`;
    // as iptables-save prints it
    this.#comment = /^[\w-]+$/.test(name) ? name : `"${name}"`;
    this.#changes = isLegacy ? undefined : NftWatch.open(0);
  }

  /** Works on the network namespace of the calling thread. @throws failedPrecondition when iptables is not installed */
  static async open(options: FirewallOptions, log: Logger): Promise<IptablesFirewall> {
    return new IptablesFirewall(options, log, (await iptablesVersion()).includes('legacy'));
  }

  async rebuild(): Promise<void> {
    const { networks, ports, uplinks } = this.#options.state();
    this.#networks = networks;
    this.#uplinks = uplinks;
    this.#ports.clear();
    for (const port of ports) this.#ports.set(portKey(port), port);
    await this.#sync();
  }

  async move(before: readonly FirewallPort[], after: readonly FirewallPort[]): Promise<void> {
    if (before.length === 0 && after.length === 0) return;
    for (const port of before) this.#ports.delete(portKey(port));
    for (const port of after) this.#ports.set(portKey(port), port);
    await this.#sync();
    forgetFlows(this.#conntrack, [...portsWithout(before, after), ...portsWithout(after, before)]);
  }

  watch(): void {
    const isTold = this.#changes !== undefined;
    this.#timer ??= setInterval(() => void this.#check(), isTold ? watchEveryMs : readEveryMs).unref();
  }

  async #check(): Promise<void> {
    try {
      if (this.#running !== undefined) return;
      // our own programs are strangers to this socket as well: then nothing is found to be done
      if (this.#changes !== undefined && !this.#changes.take('').isAny) return;
      if ((await this.#sync()) > 0) this.#log.warn('firewall rules were changed by another program: made again');
    } catch (error) {
      this.#log.error('firewall check failed', { error });
    }
  }

  async remove(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
    for (const family of [4, 6] as const) await this.#make(family, none);
  }

  /** Resolves when the kernel has what is wanted at the time of the call: the number of families that had to be changed. */
  #sync(): Promise<number> {
    if (this.#running === undefined) {
      this.#running = this.#apply().finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    // the change under way may have read the state before this call: one more after it, for all who ask meanwhile
    this.#next ??= this.#running
      .catch(() => {}) // told to those who asked for it
      .then(() => {
        this.#next = undefined;
        return this.#sync();
      });
    return this.#next;
  }

  async #apply(): Promise<number> {
    const state = { networks: this.#networks, uplinks: this.#uplinks, ports: [...this.#ports.values()] };
    const families = this.#options.hasIPv6 ? ([4, 6] as const) : ([4] as const);
    const changed = await Promise.all(
      families.map((family) => this.#make(family, iptablesRules(family, state, this.#comment))),
    );
    return changed.filter(Boolean).length;
  }

  /** True when something had to be changed. A change of others between reading and writing is seen by the second try. */
  async #make(family: 4 | 6, wanted: Rules): Promise<boolean> {
    const mark = ` --comment ${this.#comment} `;
    for (let attempt = 1; ; attempt++) {
      const saved = await saveTables(family);
      const isOurs = (spec: string): boolean => spec.includes(mark);
      const text = planChange({ saved, wanted, isOurs, first: headChains, own: ownChains });
      if (text === '') return false;
      try {
        await restoreTables(family, text);
        return true;
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#running?.catch(() => {}); // told to those who asked for it
    this.#changes?.[Symbol.dispose]();
    this.#conntrack[Symbol.dispose]();
  }
}
