/** The store of a cluster in etcd: the one file that knows etcd's API (version 3, gRPC). */
import { etcd } from '@boxship/api';
import { BoxshipError, type ErrorKind } from '@boxship/base';
import { type ChannelCredentials, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Change, ClusterStore, Condition, Listing, StoreEvent } from './store.ts';

export interface EtcdOptions {
  /** `host:port` of each member. */
  readonly members: readonly string[];
  /** Under which all keys are, with a slash at its end. */
  readonly root: string;
  /** PEM; undefined: plain. */
  readonly tls: { readonly authority?: Buffer; readonly certificate?: Buffer; readonly key?: Buffer } | undefined;
}

const callTimeoutMs = 3000;
const none = Buffer.alloc(0);
const channelOptions = {
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.enable_http_proxy': 0,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

type Reply<T> = (error: ServiceError | null, response: T) => void;

class Member implements Disposable {
  readonly kv: etcd.KVClient;
  readonly watch: etcd.WatchClient;
  readonly lease: etcd.LeaseClient;

  constructor(address: string, channel: ChannelCredentials) {
    this.kv = new etcd.KVClient(address, channel, channelOptions);
    this.watch = new etcd.WatchClient(address, channel, channelOptions);
    this.lease = new etcd.LeaseClient(address, channel, channelOptions);
  }

  [Symbol.dispose](): void {
    for (const client of [this.kv, this.watch, this.lease]) client.close();
  }
}

export class EtcdStore implements ClusterStore {
  readonly name: string;
  readonly #root: string;
  readonly #members: readonly Member[];
  /** The member asked: the next one once it fails. */
  #current = 0;

  constructor({ members, root, tls }: EtcdOptions) {
    this.name = `etcd at ${members.join(', ')}`;
    this.#root = root;
    const channel =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(tls.authority ?? null, tls.key ?? null, tls.certificate ?? null);
    this.#members = members.map((address) => new Member(address, channel));
  }

  async list(prefix: string): Promise<Listing> {
    const range = { ...this.#range(prefix), limit: 0n, revision: 0n };
    const answer = await this.#call<etcd.RangeResponse>(`list ${prefix}`, ({ kv }, deadline, reply) =>
      kv.range(range, new Metadata(), deadline, reply),
    );
    return {
      revision: answer.header?.revision ?? 0n,
      entries: new Map(answer.kvs.map(({ key, value }) => [this.#local(key), value.toString()])),
    };
  }

  async commit(conditions: readonly Condition[], changes: readonly Change[]): Promise<boolean> {
    const request: etcd.TxnRequest = {
      compare: conditions.map((condition) => this.#compare(condition)),
      success: changes.map((change) => this.#operation(change)),
      failure: [],
    };
    const { succeeded } = await this.#call<etcd.TxnResponse>('transaction', ({ kv }, deadline, reply) =>
      kv.txn(request, new Metadata(), deadline, reply),
    );
    return succeeded;
  }

  async grantLease(ttlSeconds: number): Promise<bigint> {
    const { ID } = await this.#call<etcd.LeaseGrantResponse>('lease', ({ lease }, deadline, reply) =>
      lease.leaseGrant({ TTL: BigInt(ttlSeconds), ID: 0n }, new Metadata(), deadline, reply),
    );
    return ID;
  }

  async keepLease(id: bigint): Promise<boolean> {
    const { TTL } = await this.#call<etcd.LeaseKeepAliveResponse>('lease', ({ lease }, deadline, reply) => {
      const stream = lease.leaseKeepAlive(deadline);
      stream.on('data', (answer: etcd.LeaseKeepAliveResponse) => reply(null, answer));
      stream.on('error', (error: ServiceError) => reply(error, { header: undefined, ID: id, TTL: 0n }));
      stream.write({ ID: id });
      stream.end();
    });
    return TTL > 0n;
  }

  watch(since: bigint, onEvents: (events: readonly StoreEvent[]) => void, signal: AbortSignal): Promise<never> {
    const stream = this.#member().watch.watch();
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => {
      reject(signal.reason);
      stream.cancel();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    stream.on('data', (response: etcd.WatchResponse) => {
      if (response.compactRevision > 0n) reject(this.#error('watch', 'outOfRange', 'its history was compacted'));
      else if (response.canceled) reject(this.#error('watch', 'unavailable', response.cancelReason));
      else if (response.events.length > 0) onEvents(response.events.flatMap((event) => this.#event(event)));
    });
    stream.on('error', (error: ServiceError) => reject(this.#error('watch', 'unavailable', error.details, error)));
    stream.on('end', () => reject(this.#error('watch', 'unavailable', 'the connection ended')));
    const createRequest = { ...this.#range(''), startRevision: since + 1n, progressNotify: false };
    stream.write({ requestUnion: { $case: 'createRequest', value: createRequest } });
    return promise.finally(() => {
      signal.removeEventListener('abort', onAbort);
      stream.cancel();
    });
  }

  [Symbol.dispose](): void {
    for (const member of this.#members) member[Symbol.dispose]();
  }

  #member(): Member {
    return this.#members[this.#current % this.#members.length] as Member;
  }

  /** One call; of a member that cannot be reached the next one is asked. */
  async #call<T>(
    operation: string,
    start: (member: Member, options: { deadline: number }, reply: Reply<T>) => void,
  ): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await new Promise<T>((resolve, reject) =>
          start(this.#member(), { deadline: Date.now() + callTimeoutMs }, (error, response) =>
            error === null ? resolve(response) : reject(error),
          ),
        );
      } catch (error) {
        const { code, details } = error as ServiceError;
        if (code !== status.UNAVAILABLE && code !== status.DEADLINE_EXCEEDED)
          throw this.#error(operation, 'unknown', details, error);
        this.#current += 1;
        // whether a call that took too long was carried out is not known: it is not repeated
        if (tried >= this.#members.length || code === status.DEADLINE_EXCEEDED)
          throw this.#error(operation, 'unavailable', details, error);
      }
    }
  }

  #error(operation: string, kind: ErrorKind, text: string, cause?: unknown): BoxshipError {
    return new BoxshipError(kind, `${this.name}: ${operation}: ${text}`, { cause });
  }

  #event({ type, kv }: etcd.WatchResponse['events'][number]): StoreEvent[] {
    if (kv === undefined) return [];
    const isGone = type === 1; // DELETE
    return [{ key: this.#local(kv.key), value: isGone ? undefined : kv.value.toString() }];
  }

  #local(key: Buffer): string {
    return key.toString().slice(this.#root.length);
  }

  #key(key: string): Buffer {
    return Buffer.from(this.#root + key);
  }

  /** All keys with the prefix, which ends with a slash: up to, without, the same with the character after it. */
  #range(prefix: string): { key: Buffer; rangeEnd: Buffer } {
    const key = this.#key(prefix);
    const rangeEnd = Buffer.from(key);
    rangeEnd[rangeEnd.length - 1] = '/'.charCodeAt(0) + 1;
    return { key, rangeEnd };
  }

  #compare(condition: Condition): etcd.Compare {
    const { EQUAL, GREATER, LESS } = etcd.Compare_CompareResult;
    const { CREATE, MOD, VALUE } = etcd.Compare_CompareTarget;
    const created = (value: bigint) => ({ $case: 'createRevision' as const, value });
    switch (condition.kind) {
      case 'absent':
        return {
          result: EQUAL,
          target: CREATE,
          key: this.#key(condition.key),
          targetUnion: created(0n),
          rangeEnd: none,
        };
      case 'present':
        return {
          result: GREATER,
          target: CREATE,
          key: this.#key(condition.key),
          targetUnion: created(0n),
          rangeEnd: none,
        };
      case 'value':
        return {
          ...{ result: EQUAL, target: VALUE, key: this.#key(condition.key), rangeEnd: none },
          targetUnion: { $case: 'value', value: Buffer.from(condition.value) },
        };
      case 'unchanged':
        return {
          ...{ result: LESS, target: MOD, ...this.#range(condition.prefix) },
          targetUnion: { $case: 'modRevision', value: condition.since + 1n },
        };
      case 'empty':
        return { result: EQUAL, target: CREATE, ...this.#range(condition.prefix), targetUnion: created(0n) };
    }
  }

  #operation(change: Change): etcd.RequestOp {
    switch (change.kind) {
      case 'put': {
        const value = { key: this.#key(change.key), value: Buffer.from(change.value), lease: change.lease ?? 0n };
        return { request: { $case: 'requestPut', value } };
      }
      case 'delete':
        return { request: { $case: 'requestDeleteRange', value: { key: this.#key(change.key), rangeEnd: none } } };
      case 'deleteAll':
        return { request: { $case: 'requestDeleteRange', value: this.#range(change.prefix) } };
    }
  }
}
