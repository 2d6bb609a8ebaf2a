/**
 * The resolver of one sandbox: names of its networks from the controller's memory, everything else from the servers of the host
 * or of `--dns`. What is known here is answered for every type of record, so that no query about a container leaves the host.
 */
import { randomInt } from 'node:crypto';
import type { Logger } from '@boxship/base';
import type { SandboxRecord } from '../model.ts';
import { gatewaysOf, hasGateway } from '../sandboxes/gateway.ts';
import type { Transport, Upstream } from './exchange.ts';
import { forward } from './forward.ts';
import { addressesOf, type ExtraHosts, pointerOf } from './lookup.ts';
import {
  type Answer,
  addressAnswer,
  answerToRefused,
  encodeAnswer,
  parseQuery,
  pointerAnswer,
  type Query,
  recordType,
  responseCode,
} from './message.ts';
import type { NameIndex } from './names.ts';

/** Short: containers come and go. (Docker says 600, and clients that believe it go on to use dead addresses.) */
const ttlSeconds = 5;
/** Queries under way to other servers. */
const maxForwarded = 1024;
const maxTcpMessage = 65_535;

export interface ResolverOptions {
  readonly names: NameIndex;
  /** The sandbox as it is now; undefined: gone. */
  readonly record: () => SandboxRecord | undefined;
  readonly extraHosts: ExtraHosts;
  /** Asked for each query that is passed on: the host's servers may change at any time. */
  readonly upstreams: () => readonly Upstream[];
  /** The user set `ndots`: single words are names of containers, or none. */
  readonly keepsWords: () => boolean;
  readonly log: Logger;
}

export class Resolver {
  readonly #options: ResolverOptions;
  #forwarded = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** The answer to a message; undefined for what deserves none. */
  async answer(message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    let query: Query;
    try {
      query = parseQuery(message);
    } catch (error) {
      return answerToRefused(message, error);
    }
    const limit = transport === 'udp' ? query.payloadSize : maxTcpMessage;
    const record = this.#options.record();
    if (record === undefined) return encodeAnswer(query, responseCode.serverFailure, [], limit);
    const own = this.#lookUp(query, record);
    if (own !== undefined) return encodeAnswer(query, responseCode.noError, own, limit);
    return (await this.#forward(query, record, transport)) ?? encodeAnswer(query, this.#refusal(), [], limit);
  }

  /** undefined: not ours to answer. */
  #lookUp(query: Query, record: SandboxRecord): Answer[] | undefined {
    const { names, extraHosts, keepsWords } = this.#options;
    const { name, type } = query;
    if (type === recordType.ptr) {
      const pointer = pointerOf(names, record, name);
      if (pointer !== undefined) return [pointerAnswer(pointer, ttlSeconds)];
    }
    const addresses = addressesOf(names, record, extraHosts, name);
    // no name of a container, but one that nobody outside should be asked for
    if (addresses === undefined)
      return isAddressType(type) && name !== '' && !name.includes('.') && keepsWords() ? [] : undefined;
    const wanted = addresses.filter((address) => isWanted(type, address));
    return shuffled(wanted).map((address) => addressAnswer(address, ttlSeconds));
  }

  async #forward(query: Query, record: SandboxRecord, transport: Transport): Promise<Buffer | undefined> {
    // a sandbox without a way out must not get one through the DNS (CVE-2024-29018)
    if (!hasGateway(gatewaysOf(record))) return undefined;
    if (this.#forwarded >= maxForwarded) return undefined;
    this.#forwarded += 1;
    try {
      return await forward(query, transport, this.#options.upstreams());
    } catch (error) {
      this.#options.log.warn('DNS query could not be passed on', { sandbox: record.spec.id, error });
      return undefined;
    } finally {
      this.#forwarded -= 1;
    }
  }

  #refusal(): number {
    return this.#forwarded >= maxForwarded ? responseCode.refused : responseCode.serverFailure;
  }
}

const isAddressType = (type: number): boolean => type === recordType.a || type === recordType.aaaa;

const isWanted = (type: number, address: string): boolean =>
  type === recordType.any || type === (address.includes(':') ? recordType.aaaa : recordType.a);

/** Another order each time: clients take the first. */
function shuffled<T>(list: T[]): T[] {
  for (let last = list.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    const [a, b] = [list[last] as T, list[other] as T];
    [list[last], list[other]] = [b, a];
  }
  return list;
}
