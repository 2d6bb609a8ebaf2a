/**
 * Small pieces put together to larger ones: whoever writes them to a file or a wire pays per piece for a round through another thread,
 * which takes longer than to copy the bytes.
 */

const gatheredBytes = 512 * 1024;
/** Nothing is held back longer once more has come: what is held is lost with the process. */
const heldMs = 20;

/**
 * Each piece is valid until the next one is asked for. What had come before the source failed is given first.
 * @throws what the source throws
 */
export async function* gather(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(gatheredBytes);
  let length = 0;
  let since = 0;
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const piece of source) {
      if (length > 0 && (length + piece.length > buffer.length || performance.now() - since > heldMs)) {
        yield buffer.subarray(0, length);
        length = 0;
      }
      if (piece.length >= buffer.length) {
        yield piece;
        continue;
      }
      if (length === 0) since = performance.now();
      buffer.set(piece, length);
      length += piece.length;
    }
  } catch (error) {
    failure = { error };
  }
  if (length > 0) yield buffer.subarray(0, length);
  if (failure !== undefined) throw failure.error;
}
