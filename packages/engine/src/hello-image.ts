/**
 * The image `boxship/hello`: the host's static busybox in an ordinary image, assembled once through the Engine API, so that
 * a first container runs without any registry.
 */
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { encodeEntry, newEntry, tarEnd, tarPadding } from '@boxship/archive';
import { BoxshipError, type Logger } from '@boxship/base';
import { type EngineClient, jsonLines, type ProgressMessage, progressOf } from '@boxship/engine-api';

export const helloImage = 'boxship/hello';

const busybox = '/bin/busybox';
const applets = [
  'sh',
  'cat',
  'echo',
  'ls',
  'ps',
  'id',
  'uname',
  'hostname',
  'sleep',
  'ip',
  'wget',
  'true',
  'false',
  'env',
];

const script = `#!/bin/sh
cat <<END

Hello from boxship.

This container ran through every part of the engine:
  client -> boxshipd -> boxship-containerd -> containerd-shim-boxship-v2 -> runc
It is $(hostname), on Linux $(uname -r), with its own processes, files and network.

Next:  boxship run -it ${helloImage} sh
END
`;

/** Imports the image if the engine does not have it. A host without busybox gets a warning instead of an image. */
export async function ensureHelloImage(client: EngineClient, log: Logger): Promise<void> {
  try {
    await client.images.inspect(helloImage);
    return;
  } catch (error) {
    if (!BoxshipError.is(error, 'notFound')) throw error;
  }
  let program: Buffer;
  try {
    program = readFileSync(busybox);
  } catch (error) {
    log.warn(`the image ${helloImage} was not made: the host has no static busybox`, { path: busybox, error });
    return;
  }
  const query = {
    fromSrc: '-',
    repo: helloImage,
    tag: 'latest',
    changes: ['CMD ["/hello"]', 'ENV PATH=/bin'],
    message: 'assembled by boxship from busybox of the host',
  };
  const answer = await client.transport.send('POST', '/images/create', {
    query,
    body: Readable.from(rootFileSystem(program)),
  });
  // reading to the end brings out a failure that is reported in the stream
  for await (const _progress of progressOf(jsonLines<ProgressMessage>(answer)));
  log.info('image made', { image: helloImage });
}

function* rootFileSystem(program: Buffer): Iterable<Buffer> {
  for (const name of ['bin/', 'etc/', 'tmp/', 'root/']) yield encodeEntry(newEntry({ name, type: 'directory' }));
  yield* file('bin/busybox', program, 0o755);
  for (const applet of applets)
    yield encodeEntry(newEntry({ name: `bin/${applet}`, type: 'symlink', linkName: 'busybox' }));
  yield* file('hello', Buffer.from(script), 0o755);
  yield* file(
    'etc/passwd',
    Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    0o644,
  );
  yield* file('etc/group', Buffer.from('root:x:0:\nnogroup:x:65534:\n'), 0o644);
  yield tarEnd;
}

function* file(name: string, content: Buffer, mode: number): Iterable<Buffer> {
  yield encodeEntry(newEntry({ name, type: 'file', size: content.length, mode }));
  yield content;
  yield tarPadding(content.length);
}
