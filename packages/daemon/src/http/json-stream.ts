/** Answers that go on: chunked, headers at once, one JSON object per line or frames. */
import type { ServerResponse } from 'node:http';
import { commonHeaders, type Exchange } from './exchange.ts';
import { hasRoom } from './has-room.ts';

export interface AnswerStream {
  readonly raw: ServerResponse;
  /** Waits while the client reads slowly. */
  write(bytes: string | Uint8Array): Promise<void>;
  json(value: unknown): Promise<void>;
  end(): void;
}

/** Sends status and headers now. */
export function startStream(exchange: Exchange, contentType: string | undefined): AnswerStream {
  const { reply } = exchange;
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { ...commonHeaders(), ...(contentType === undefined ? {} : { 'Content-Type': contentType }) });
  raw.flushHeaders();
  raw.on('error', () => raw.destroy()); // the client is gone; the exchange's signal tells
  const write = async (bytes: string | Uint8Array) => {
    if (raw.destroyed || raw.write(bytes)) return;
    await hasRoom(raw);
  };
  return {
    raw,
    write,
    // clients of progress streams were written against Go's escaping
    json: (value) => write(`${escapeHtml(JSON.stringify(value))}\n`),
    end: () => raw.end(),
  };
}

const escapes: Readonly<Record<string, string>> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' };
const escapeHtml = (text: string): string => text.replace(/[<>&]/g, (character) => escapes[character] ?? character);
