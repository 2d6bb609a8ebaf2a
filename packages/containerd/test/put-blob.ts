/** One blob through the content service, as a client writes it. */
import { content as wire } from '@boxship/api';
import { digestOf } from '@boxship/oci';
import type { LocalContainerd } from '../src/containerd.ts';

const { STAT, COMMIT } = wire.WriteAction;

export async function putBlob(
  to: LocalContainerd,
  data: Buffer,
  options: { labels?: { [key: string]: string }; lease?: string } = {},
): Promise<string> {
  const expected = digestOf(data);
  const stream = to.content.write(options.lease === undefined ? {} : { lease: options.lease });
  const answers = stream[Symbol.asyncIterator]();
  await stream.send({ action: STAT, ref: `ref-${expected}`, total: BigInt(data.length), expected });
  await answers.next();
  await stream.send({ action: COMMIT, data, total: BigInt(data.length), expected, labels: options.labels ?? {} });
  await answers.next();
  return expected;
}
