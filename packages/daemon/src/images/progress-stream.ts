/**
 * A progress answer: status 200 goes out with the first line, so that a failure before it still has a status of its own.
 * A later failure is the last line.
 */
import { BoxshipError } from '@boxship/base';
import type { ProgressMessage } from '@boxship/engine-api';
import type { Exchange } from '../http/exchange.ts';
import { type AnswerStream, startStream } from '../http/json-stream.ts';

export interface ProgressStream {
  send(message: ProgressMessage | undefined): void;
}

export async function streamProgress(
  exchange: Exchange,
  work: (stream: ProgressStream) => Promise<void>,
): Promise<void> {
  let answer: AnswerStream | undefined;
  let sending: Promise<void> = Promise.resolve();
  const send = (message: ProgressMessage | undefined) => {
    if (message === undefined) return;
    answer ??= startStream(exchange, 'application/json');
    const { json } = answer;
    sending = sending.then(() => json(message));
  };
  try {
    await work({ send });
  } catch (error) {
    if (answer === undefined) throw error;
    const { message } = BoxshipError.from(error);
    send({ errorDetail: { message }, error: message });
  }
  await sending;
  answer ??= startStream(exchange, 'application/json');
  answer.end();
}
