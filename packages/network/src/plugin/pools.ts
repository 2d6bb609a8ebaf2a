/** The address management that foreign engines use: pools and addresses, kept in one record of the store. */
import { BoxshipError } from '@boxship/base';
import type { Context } from '../context.ts';
import { defaultGateway } from '../ipam/addresses.ts';
import { chooseSubnet } from '../ipam/pools.ts';
import { doOverlap, formatPrefix, isInside, parsePrefix } from '../ipam/prefix.ts';
import { hostPrefixes, networkPrefixes } from '../networks/pools.ts';

export const addressSpaces = { local: 'boxship-local', global: 'boxship-global' } as const;

interface PoolRecord {
  readonly subnet: string;
  /** Part from which addresses are chosen. */
  readonly ipRange?: string;
  readonly used: readonly string[];
}

const metaKey = 'foreignPools';

export class ForeignPools {
  readonly #context: Context;
  readonly #pools: Map<string, PoolRecord>;

  constructor(context: Context) {
    this.#context = context;
    this.#pools = new Map(
      Object.entries(JSON.parse(context.store.meta(metaKey) ?? '{}') as Record<string, PoolRecord>),
    );
  }

  /** @throws permissionDenied (overlap), resourceExhausted, invalidArgument */
  requestPool(wanted: { pool: string; subPool: string; isV6: boolean }): { id: string; subnet: string } {
    const taken = [...this.#pools.values()].map(({ subnet }) => parsePrefix(subnet));
    const networks = networkPrefixes(this.#context);
    let prefix = wanted.pool === '' ? undefined : parsePrefix(wanted.pool);
    if (prefix === undefined) {
      if (wanted.subPool !== '') throw new BoxshipError('invalidArgument', 'a sub-pool needs a pool');
      prefix = chooseSubnet({
        family: wanted.isV6 ? 6 : 4,
        pools: this.#context.pools,
        taken: [...taken, ...networks, ...hostPrefixes(this.#context)],
        hostId: this.#context.hostId,
      });
    } else if ([...taken, ...networks].some((other) => prefix !== undefined && doOverlap(other, prefix)))
      throw new BoxshipError('permissionDenied', 'Pool overlaps with other one on this address space');
    const subnet = formatPrefix(prefix);
    const id = `${addressSpaces.local}/${subnet}`;
    const ipRange = wanted.subPool === '' ? {} : { ipRange: formatPrefix(parsePrefix(wanted.subPool)) };
    this.#pools.set(id, { subnet, ...ipRange, used: [] });
    this.#save();
    return { id, subnet };
  }

  releasePool(id: string): void {
    this.#pools.delete(id);
    this.#save();
  }

  /** An address with prefix length. @throws notFound, permissionDenied, resourceExhausted, invalidArgument */
  requestAddress(poolId: string, wanted: { address: string; isGateway: boolean }): string {
    const pool = this.#pool(poolId);
    const used = new Set(pool.used);
    let address: string;
    if (wanted.address !== '') {
      if (!isInside(wanted.address, parsePrefix(pool.subnet)))
        throw new BoxshipError('invalidArgument', `Requested address ${wanted.address} is out of range`);
      if (used.has(wanted.address)) throw new BoxshipError('permissionDenied', 'Address already in use');
      ({ address } = wanted);
    } else if (wanted.isGateway && !used.has(defaultGateway(pool))) address = defaultGateway(pool);
    else address = this.#context.addresses.choose({ id: poolId, name: poolId }, pool, used);
    this.#pools.set(poolId, { ...pool, used: [...pool.used, address] });
    this.#save();
    return `${address}/${parsePrefix(pool.subnet).length}`;
  }

  releaseAddress(poolId: string, address: string): void {
    const pool = this.#pools.get(poolId);
    if (pool === undefined) return;
    this.#pools.set(poolId, { ...pool, used: pool.used.filter((other) => other !== address) });
    this.#context.addresses.release(poolId, address);
    this.#save();
  }

  #pool(id: string): PoolRecord {
    const pool = this.#pools.get(id);
    if (pool === undefined) throw new BoxshipError('notFound', `unknown address pool ${id}`);
    return pool;
  }

  #save(): void {
    this.#context.store.setMeta(metaKey, JSON.stringify(Object.fromEntries(this.#pools)));
  }
}
