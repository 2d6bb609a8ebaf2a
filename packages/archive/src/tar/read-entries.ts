/**
 * The same parser for a stream on the main thread: members one after the other, each with its bytes as a stream. For small
 * things (image archives, single files); layers go through the worker.
 */
import { type ArchiveLimits, defaultLimits, malformed } from '../limits.ts';
import type { TarEntry } from './entry.ts';
import { TarParser } from './parser.ts';

export interface TarMember {
  readonly entry: TarEntry;
  /** The file's bytes. What is left unread is skipped when the next member is asked for. */
  readonly body: AsyncIterable<Buffer>;
}

type Token = { kind: 'entry'; entry: TarEntry } | { kind: 'data'; bytes: Buffer } | { kind: 'end' };
const holeChunk = 1024 * 1024;

/** @throws invalidArgument, resourceExhausted, and what the source throws */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits = defaultLimits,
): AsyncGenerator<TarMember, void, undefined> {
  const tokens = tokenize(source, limits);
  try {
    for (;;) {
      const next = await tokens.next();
      if (next.done === true) return;
      if (next.value.kind !== 'entry') continue; // bytes of a member that nobody wanted
      let isOver = false;
      const body = async function* (): AsyncGenerator<Buffer> {
        while (!isOver) {
          const token = await tokens.next();
          if (token.done === true || token.value.kind === 'entry') throw malformed('unexpected end of archive');
          if (token.value.kind === 'end') isOver = true;
          else yield token.value.bytes;
        }
      };
      const member = { entry: next.value.entry, body: body() };
      yield member;
      while (!isOver) {
        const token = await tokens.next();
        if (token.done === true) return;
        if (token.value.kind === 'end') isOver = true;
      }
    }
  } finally {
    await tokens.return(undefined);
  }
}

async function* tokenize(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits,
): AsyncGenerator<Token, void, undefined> {
  let queue: Token[] = [];
  let holes = 0;
  const parser = new TarParser(
    {
      entry: (entry) => queue.push({ kind: 'entry', entry }),
      data: (bytes) => queue.push({ kind: 'data', bytes }),
      hole: (length) => {
        holes = length;
        while (holes > 0) {
          const bytes = zeros.subarray(0, Math.min(holes, holeChunk));
          holes -= bytes.length;
          queue.push({ kind: 'data', bytes });
        }
      },
      endEntry: () => queue.push({ kind: 'end' }),
    },
    limits,
  );
  for await (const chunk of source) {
    parser.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const ready = queue;
    queue = [];
    yield* ready;
  }
  parser.end();
  yield* queue;
}

const zeros = Buffer.alloc(holeChunk);
