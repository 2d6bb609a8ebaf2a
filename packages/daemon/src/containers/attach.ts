/** Attach: one client on the streams of a container, before or after its start, with or without its past output. */
import type { Duplex } from 'node:stream';
import { BoxshipError } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { containerFiles } from './files.ts';
import { copyInput } from './input.ts';
import { writeLogs } from './logs.ts';
import { type AttachmentPort, type Container, eventAttributes, isTaskAlive } from './model.ts';
import { copyOutput } from './output.ts';

export interface AttachOptions {
  readonly stream: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs: boolean;
  readonly detachKeys: string;
}

/** @throws conflict for a paused container */
export function checkAttachable(container: Container): void {
  if (container.record.state.Paused)
    throw new BoxshipError('conflict', `container ${container.id} is paused, unpause the container before attach`);
}

/** Serves the connection, which is the client's already, until its end. */
export async function attach(
  parts: Parts,
  container: Container,
  client: Duplex,
  options: AttachOptions,
): Promise<void> {
  const { config } = container.record;
  const isTty = config.Tty;
  parts.events.publish('container', 'attach', container.id, eventAttributes(container.record));
  client.on('error', () => client.destroy()); // a client that is gone is no error of ours
  // registered first: a start that comes while the past is replayed must not be missed
  const live = options.stream ? register(parts, container, client, options, isTty) : undefined;
  if (options.logs)
    await writeLogs(parts, container, client, { stdout: options.stdout, stderr: options.stderr, isFramed: !isTty });
  if (live === undefined) {
    client.end();
    return;
  }
  await live.run();
}

function register(parts: Parts, container: Container, client: Duplex, options: AttachOptions, isTty: boolean) {
  const { config } = container.record;
  const over = Promise.withResolvers<void>();
  let isStarted = false;
  const finish = () => {
    container.attachments.delete(port);
    client.end();
    over.resolve();
  };
  const isStdinWanted = options.stdin && config.OpenStdin;
  const input = isStdinWanted
    ? copyInput({
        client,
        input: () => container.stdin,
        isTty,
        detachKeys: options.detachKeys,
        onEnd: () => {
          if (config.StdinOnce && !isTty) closeStdin(parts, container);
          else finish();
        },
        onDetach: () => {
          parts.events.publish('container', 'detach', container.id, eventAttributes(container.record));
          finish();
        },
      })
    : undefined;
  if (input === undefined) client.on('data', () => {}).resume(); // nothing is expected; a half close means nothing
  const port: AttachmentPort = {
    connect() {
      isStarted = true;
      container.attachments.delete(port);
      const copy = copyOutput({
        path: containerFiles(parts.config, container.id).attachSocket,
        client,
        isTty,
        stdout: options.stdout,
        stderr: options.stderr,
        isAlive: () => !container.hasTaskExited && (isTaskAlive(container) || container.record.isStarting),
      });
      copy.done.then(finish, (error: unknown) => {
        parts.log.warn('attach ended', { container: container.id, error });
        finish();
      });
      return copy.connected;
    },
    started: () => input?.flow(),
    abandon: finish,
  };
  client.once('close', finish);
  container.attachments.add(port);
  return {
    async run() {
      if (isTaskAlive(container) && !isStarted) {
        await port.connect();
        port.started();
      }
      await over.promise;
    },
  };
}

/** The last client with a pipe has ended its side: the process sees the end of its input. */
export function closeStdin(parts: Parts, container: Container): void {
  container.stdin?.close();
  parts.containerd.tasks.closeIo({ containerId: container.id, execId: '', stdin: true }).catch((error: unknown) => {
    if (!BoxshipError.is(error, 'notFound'))
      parts.log.debug('stdin was not closed', { container: container.id, error });
  });
}
