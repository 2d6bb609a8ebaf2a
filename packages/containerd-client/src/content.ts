/** The content store of a remote containerd, behind the image store's contract. */

import type { ContainerdServices } from '@boxship/api';
import { type Duplex, content as wire } from '@boxship/api';
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import {
  type CommitOptions,
  type ContentInfo,
  type ContentName,
  type ContentReader,
  type ContentStore,
  type ContentUpdate,
  type ContentWriter,
  contentFields,
  type IngestStatus,
  ingestFields,
  type ReadOptions,
  type WriterOptions,
} from '@boxship/image-store';
import { type Digest, Digester, parseDigest } from '@boxship/oci';
import { fromWireTime, isMatch, labelMask } from './convert.ts';

// a message holds 16 MiB; one MiB keeps both ends busy without holding much
const writeBytes = 1024 * 1024;

export function remoteContentStore(services: Pick<ContainerdServices, 'content'>): ContentStore {
  const { content } = services;
  const store: ContentStore = {
    async info(digest) {
      return fromWireInfo((await content.info({ digest })).info);
    },
    async readerAt(name: ContentName): Promise<ContentReader> {
      const { size } = await store.info(name.digest);
      return {
        size,
        async readAt(buffer, offset) {
          const wanted = Math.min(buffer.length, size - offset);
          if (wanted <= 0) return 0;
          let at = 0;
          for await (const { data } of content.read({
            digest: name.digest,
            offset: BigInt(offset),
            size: BigInt(wanted),
          })) {
            buffer.set(data, at);
            at += data.length;
          }
          return at;
        },
        async [Symbol.asyncDispose]() {},
      };
    },
    async *read(name: ContentName, options: ReadOptions = {}) {
      const request = { digest: name.digest, offset: BigInt(options.offset ?? 0), size: BigInt(options.length ?? 0) };
      const call = { timeoutMs: 0, ...(options.signal === undefined ? {} : { signal: options.signal }) };
      for await (const { data } of content.read(request, call)) yield data;
    },
    async writer(options: WriterOptions): Promise<ContentWriter> {
      return await RemoteWriter.open(services, options);
    },
    async status(ref) {
      return fromWireStatus((await content.status({ ref })).status);
    },
    async *statuses(filter?: FilterPredicate) {
      for (const status of (await content.listStatuses({ filters: [] })).statuses.map(fromWireStatus))
        if (isMatch(filter, ingestFields, status)) yield status;
    },
    async abort(ref) {
      await content.abort({ ref });
    },
    async *walk(filter?: FilterPredicate) {
      for await (const { info } of content.list({ filters: [] }, { timeoutMs: 0 }))
        for (const item of info.map(fromWireInfo)) if (isMatch(filter, contentFields, item)) yield item;
    },
    async update(update: ContentUpdate) {
      const info = {
        digest: update.digest,
        size: 0n,
        createdAt: undefined,
        updatedAt: undefined,
        labels: { ...update.labels },
      };
      return fromWireInfo((await content.update({ info, updateMask: labelMask(update.fields) })).info);
    },
    async delete(digest) {
      await content.delete({ digest });
    },
  };
  return store;
}

class RemoteWriter implements ContentWriter {
  readonly #stream: Duplex<wire.WriteContentRequest, wire.WriteContentResponse>;
  readonly #answers: AsyncIterator<wire.WriteContentResponse>;
  readonly #options: WriterOptions;
  #status: IngestStatus;
  #digest: Digest;
  /** The server tells the digest with STAT and COMMIT only; what is written from the beginning is digested here too. */
  #digester: Digester | undefined;

  private constructor(
    stream: Duplex<wire.WriteContentRequest, wire.WriteContentResponse>,
    answers: AsyncIterator<wire.WriteContentResponse>,
    options: WriterOptions,
    first: wire.WriteContentResponse,
  ) {
    this.#stream = stream;
    this.#answers = answers;
    this.#options = options;
    this.#digest = first.digest as Digest;
    this.#digester = first.offset === 0n ? new Digester() : undefined;
    this.#status = {
      ref: options.ref,
      offset: Number(first.offset),
      total: Number(first.total),
      startedAt: fromWireTime(first.startedAt),
      updatedAt: fromWireTime(first.updatedAt),
      ...(options.expected === undefined ? {} : { expected: options.expected }),
    };
  }

  static async open(services: Pick<ContainerdServices, 'content'>, options: WriterOptions): Promise<RemoteWriter> {
    const stream = services.content.write({
      timeoutMs: 0,
      ...(options.lease === undefined ? {} : { lease: options.lease }),
    });
    const answers = stream[Symbol.asyncIterator]();
    const total = BigInt(options.total ?? 0);
    await stream.send({ action: wire.WriteAction.STAT, ref: options.ref, total, expected: options.expected ?? '' });
    return new RemoteWriter(stream, answers, options, await nextAnswer(answers));
  }

  status = (): IngestStatus => this.#status;
  digest = (): Digest => this.#digester?.digest() ?? this.#digest;

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += writeBytes) {
      // the transport keeps the buffer until it is sent, the caller may reuse his at once
      const data = Buffer.from(bytes.subarray(at, at + writeBytes));
      await this.#exchange({ action: wire.WriteAction.WRITE, offset: BigInt(this.#status.offset), data });
      this.#digester?.update(data);
    }
  }

  async truncate(size: number): Promise<void> {
    if (size !== 0) throw new BoxshipError('unimplemented', 'a remote ingest can only be started over');
    await this.#exchange({ action: wire.WriteAction.WRITE, offset: 0n, data: Buffer.alloc(0) });
    this.#digester = new Digester();
  }

  async commit(options: CommitOptions = {}): Promise<Digest> {
    const labels = { ...this.#options.labels, ...options.labels };
    const expected = options.expected ?? '';
    const total = BigInt(options.size ?? 0);
    const offset = BigInt(this.#status.offset);
    await this.#exchange({ action: wire.WriteAction.COMMIT, total, expected, offset, labels });
    return this.#digest;
  }

  async #exchange(request: Partial<wire.WriteContentRequest>): Promise<void> {
    // a refused write closes the stream: the reason comes with the answer, not with the send
    const sent = this.#stream.send(request).catch(() => {});
    const answer = await nextAnswer(this.#answers);
    await sent;
    this.#status = { ...this.#status, offset: Number(answer.offset), updatedAt: new Date() };
    if (answer.digest !== '') this.#digest = parseDigest(answer.digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.end();
    this.#stream.cancel();
  }
}

async function nextAnswer(answers: AsyncIterator<wire.WriteContentResponse>): Promise<wire.WriteContentResponse> {
  const next = await answers.next();
  if (next.done === true) throw new BoxshipError('unavailable', 'containerd ended the write without an answer');
  return next.value;
}

function fromWireInfo(info: wire.Info | undefined): ContentInfo {
  if (info === undefined) throw new BoxshipError('internal', 'containerd answered without content info');
  const { digest, size, createdAt, updatedAt, labels } = info;
  return {
    digest: parseDigest(digest),
    size: Number(size),
    createdAt: fromWireTime(createdAt),
    updatedAt: fromWireTime(updatedAt),
    labels,
  };
}

function fromWireStatus(status: wire.Status | undefined): IngestStatus {
  if (status === undefined) throw new BoxshipError('internal', 'containerd answered without an ingest status');
  const { ref, offset, total, expected, startedAt, updatedAt } = status;
  return {
    ref,
    offset: Number(offset),
    total: Number(total),
    startedAt: fromWireTime(startedAt),
    updatedAt: fromWireTime(updatedAt),
    ...(expected === '' ? {} : { expected: parseDigest(expected) }),
  };
}
