/**
 * Bytes over a named stream, as containerd sends them: `Data` messages of at most 32 KiB, as many as the receiver has granted by
 * `WindowUpdate`. The end of the stream is the end of the bytes.
 */
import { encodeAny, transferTypes as types } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { NamedStream } from './streaming.ts';
import { message } from './transfer-messages.ts';

const pieceBytes = 32 * 1024;
const windowBytes = 2 * pieceBytes;

/** What the client sends. @throws invalidArgument for another message */
export async function* receiveData(stream: NamedStream): AsyncGenerator<Uint8Array, void, undefined> {
  for (let window = 0; ; ) {
    if (window < windowBytes) {
      const grant = types.WindowUpdate.fromPartial({ update: windowBytes });
      stream.send(encodeAny('containerd.types.transfer.WindowUpdate', types.WindowUpdate, grant));
      window += windowBytes;
    }
    const next = await stream.receive();
    if (next === undefined) return;
    const piece = message<types.Data>(next, 'Data');
    if (piece === undefined) throw new BoxshipError('invalidArgument', 'a stream of data holds Data messages only');
    window -= piece.data.length;
    yield piece.data;
  }
}

/** Sends bytes at the client's pace. @throws cancelled when the client goes away before the end */
export async function sendData(stream: NamedStream, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  let window = 0;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; ) {
      while (window <= 0) window += await granted(stream);
      const data = Buffer.from(chunk.subarray(at, at + Math.min(pieceBytes, window)));
      stream.send(encodeAny('containerd.types.transfer.Data', types.Data, { data }));
      window -= data.length;
      at += data.length;
    }
  }
  stream.end();
}

async function granted(stream: NamedStream): Promise<number> {
  const next = await stream.receive();
  if (next === undefined) throw new BoxshipError('cancelled', 'the client went away before the end of the data');
  const update = message<types.WindowUpdate>(next, 'WindowUpdate');
  if (update === undefined)
    throw new BoxshipError('invalidArgument', 'who receives data sends WindowUpdate messages only');
  return update.update;
}
