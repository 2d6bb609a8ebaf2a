/** Joins a taken-over connection with the terminal: output by stream, input with half close and detach keys. */
import type { Duplex } from 'node:stream';
import { FrameDecoder, type Hijacked } from '@boxship/engine-api';
import type { CommandContext } from '../command.ts';
import { DetachWatch, parseDetachKeys } from './detach-keys.ts';

export interface HijackedIoOptions {
  readonly isTerminal: boolean;
  readonly sendsInput: boolean;
  readonly showsOutput: boolean;
  readonly showsErrors: boolean;
  readonly detachKeys: string;
}

export interface HijackedIo {
  /** Resolves when all output has been written: `detached` when the user left. */
  readonly ended: Promise<'ended' | 'detached'>;
  /** Puts the terminal back. */
  restore(): void;
}

export function joinHijacked(context: CommandContext, connection: Hijacked, options: HijackedIoOptions): HijackedIo {
  const { socket } = connection;
  const isRaw = options.isTerminal && options.sendsInput && context.stdin.isTTY;
  const detached = Promise.withResolvers<'detached'>();
  if (isRaw) context.stdin.setRawMode(true);
  if (options.sendsInput) sendInput(context, socket, options, () => detached.resolve('detached'));
  else socket.end();
  const output = copyOutput(context, socket, options).then(() => 'ended' as const);
  const ended = Promise.race([output, detached.promise]).finally(restore);
  function restore(): void {
    if (isRaw) context.stdin.setRawMode(false);
    context.stdin.pause();
    context.stdin.removeAllListeners('data');
    // an unread standard input must not keep the process alive
    context.stdin.unref?.();
    socket.destroy();
  }
  return { ended, restore };
}

function sendInput(context: CommandContext, socket: Duplex, options: HijackedIoOptions, onDetach: () => void): void {
  const watch = new DetachWatch(options.isTerminal ? parseDetachKeys(options.detachKeys) : []);
  context.stdin.on('data', (chunk: Buffer) => {
    const { pass, isDetached } = watch.push(chunk);
    if (pass.length > 0 && !socket.write(pass)) {
      context.stdin.pause();
      socket.once('drain', () => context.stdin.resume());
    }
    if (isDetached) onDetach();
  });
  context.stdin.on('end', () => socket.end());
  context.stdin.on('error', () => socket.end());
  // the container may close its input before we have sent all of ours
  socket.on('error', () => {});
}

async function copyOutput(context: CommandContext, socket: Duplex, options: HijackedIoOptions): Promise<void> {
  const decoder = new FrameDecoder();
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (options.isTerminal) {
      if (options.showsOutput) await write(context.stdout, chunk);
      continue;
    }
    for (const { stream, payload } of decoder.push(chunk)) {
      if (stream === 1 && options.showsOutput) await write(context.stdout, payload);
      else if (stream === 2 && options.showsErrors) await write(context.stderr, payload);
      else if (stream === 3) throw new Error(`error from daemon in stream: ${payload.toString('utf8')}`);
    }
  }
}

/** Writes with back-pressure: a slow terminal slows the container, nothing is buffered without bound. */
export function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> | undefined {
  if (stream.write(bytes)) return undefined;
  return new Promise((resolve) => stream.once('drain', resolve));
}
