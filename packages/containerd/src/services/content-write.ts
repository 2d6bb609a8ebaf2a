/**
 * The Write stream of the content service. One answer per message; the first message names the ref; WRITE at offset 0 with
 * data present starts over, another offset than the current one is refused; the stream ends after COMMIT, and an end without
 * COMMIT keeps the ingest for the next writer of the ref.
 */
import { type CallContext, goZeroTime, content as wire } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { CommitOptions, ContentStore, ContentWriter } from '@boxship/image-store';
import { parseDigest } from '@boxship/oci';
import { toWireTime } from './convert.ts';

const { STAT, WRITE, COMMIT } = wire.WriteAction;

export async function* writeContent(
  store: ContentStore,
  requests: AsyncIterable<wire.WriteContentRequest>,
  context: CallContext,
): AsyncIterable<wire.WriteContentResponse> {
  let writer: ContentWriter | undefined;
  let total = 0;
  let expected = '';
  try {
    for await (const request of requests) {
      if (writer === undefined) {
        if (request.ref === '') throw new BoxshipError('invalidArgument', 'first message must have a reference');
        total = Number(request.total);
        expected = request.expected;
        writer = await store.writer({
          ref: request.ref,
          total,
          ...(expected === '' ? {} : { expected: parseDigest(expected) }),
          ...(context.lease === undefined ? {} : { lease: context.lease }),
        });
      }
      if (request.total > 0n) {
        if (total > 0 && Number(request.total) !== total)
          throw new BoxshipError('failedPrecondition', `commit total size was different: ${request.total} != ${total}`);
        total = Number(request.total);
      }
      if (request.expected !== '') {
        if (expected !== '' && request.expected !== expected)
          throw new BoxshipError(
            'failedPrecondition',
            `commit digest was different: ${request.expected} != ${expected}`,
          );
        expected = request.expected;
      }
      const isWrite = request.action === WRITE || (request.action === COMMIT && request.data.length > 0);
      if (isWrite) await write(writer, request);
      if (request.action === COMMIT) {
        const commit: CommitOptions = {
          ...(total > 0 ? { size: total } : {}),
          ...(expected === '' ? {} : { expected: parseDigest(expected) }),
          labels: request.labels,
        };
        const answer = answerOf(writer, COMMIT, total);
        const digest = await writer.commit(commit);
        yield { ...answer, digest };
        return;
      }
      if (request.action !== STAT && request.action !== WRITE)
        throw new BoxshipError('invalidArgument', `unknown write action ${String(request.action)}`);
      yield answerOf(writer, request.action, total);
    }
  } finally {
    await writer?.[Symbol.asyncDispose]();
  }
}

async function write(writer: ContentWriter, request: wire.WriteContentRequest): Promise<void> {
  const { offset } = writer.status();
  const at = Number(request.offset);
  if (at === 0 && offset > 0) await writer.truncate(0);
  else if (at !== offset) throw new BoxshipError('outOfRange', `write @${at} must occur at current offset ${offset}`);
  if (request.data.length > 0) await writer.write(request.data);
}

function answerOf(writer: ContentWriter, action: wire.WriteAction, total: number): wire.WriteContentResponse {
  const status = writer.status();
  const times =
    action === STAT
      ? { startedAt: toWireTime(status.startedAt), updatedAt: toWireTime(status.updatedAt) }
      : { startedAt: goZeroTime(), updatedAt: goZeroTime() };
  const digest = writer.digest();
  return { action, ...times, offset: BigInt(status.offset), total: BigInt(total || status.total), digest };
}
