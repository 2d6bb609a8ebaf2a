/** Shows a progress stream: on a terminal one line per layer, updated in place; elsewhere only the changes of state. */
import { BoxshipError } from '@boxship/base';
import type { ProgressMessage } from '@boxship/engine-api';

/** Prints until the stream ends. @throws unknown with the failure that the stream reports */
export async function showProgress(messages: AsyncIterable<ProgressMessage>, out: NodeJS.WriteStream): Promise<void> {
  const lines = new Map<string, number>();
  const seen = new Map<string, string>();
  for await (const message of messages) {
    const failure = message.errorDetail?.message ?? message.error;
    if (failure !== undefined) throw new BoxshipError('unknown', failure);
    if (message.stream !== undefined) out.write(message.stream);
    const { id, status, progress } = message;
    if (status === undefined) continue;
    if (id === undefined || id === '') {
      out.write(`${status}\n`);
      continue;
    }
    if (!out.isTTY) {
      // without a terminal every state is printed once, and no bars
      if (progress === undefined && seen.get(id) !== status) out.write(`${id}: ${status}\n`);
      seen.set(id, status);
      continue;
    }
    const text = `${id}: ${status}${progress === undefined || progress === '' ? '' : ` ${progress}`}`;
    const line = lines.get(id);
    if (line === undefined) {
      lines.set(id, lines.size);
      out.write(`${text}\n`);
    } else {
      const up = lines.size - line;
      out.write(`\x1b[${up}A\x1b[2K\r${text}\r\x1b[${up}B`);
    }
  }
}
