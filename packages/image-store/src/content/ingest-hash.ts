/** The running hash of an ingest, and its recovery from the bytes that an earlier writer left. */
import { createReadStream } from 'node:fs';
import { type Digest, Digester, digestAlgorithm } from '@boxship/oci';

/** A digester for a write whose outcome shall be `expected`. */
export const digesterFor = (expected: Digest | undefined): Digester =>
  new Digester(expected === undefined ? 'sha256' : digestAlgorithm(expected));

/** A digester that has seen the whole file: hash state is not kept on disk, so a resumed write reads what is there. */
export async function rehash(path: string, expected: Digest | undefined): Promise<Digester> {
  const digester = digesterFor(expected);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) digester.update(chunk as Buffer);
  return digester;
}
