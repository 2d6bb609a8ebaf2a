/**
 * The program of an archive thread: expands and hashes, or writes what another one has expanded, or walks and packs, so that the
 * main thread does none of it. A sibling of the modules that start it, also in a bundle (`archive-worker.cjs`).
 */
import { rmSync } from 'node:fs';
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { BoxshipError } from '@boxship/base';
import { QueuedWrites } from '@boxship/linux';
import { Digester } from '@boxship/oci';
import { ContentsWriter } from './apply/contents-writer.ts';
import { Helper } from './apply/helper.ts';
import { LayerWriter } from './apply/layer-writer.ts';
import { packArchive } from './diff/pack-archive.ts';
import { Expander } from './expand/expander.ts';
import { SlotWriter, viewOf } from './expand/slots.ts';
import { TarParser } from './tar/parser.ts';
import type { TreeCall, TreeUsage } from './tree/calls.ts';
import { copyTreeSync } from './tree/copy.ts';
import { measureTreeSync } from './tree/measure.ts';
import {
  type FromExpander,
  type FromHelper,
  type FromWorker,
  type ToExpander,
  type ToHelper,
  type ToWorker,
  wireError,
} from './worker-protocol.ts';

interface Job {
  handle(message: ToWorker): void;
  /** Ends it, wherever it is. */
  dispose(): void | Promise<void>;
}

const send = (message: FromWorker, memory?: ArrayBuffer): void =>
  parentPort?.postMessage(message, memory === undefined ? [] : [memory]);

function applyJob({ target, options, slots, from, helper: line }: ToWorker & { kind: 'apply' }): Job {
  let isOver = false; // a port that was closed still gives what had come before
  const helper = new Helper(line, { end: () => isOver || guarded(end), error: (error) => isOver || fail(error) });
  const writer = new LayerWriter(target, options, helper.contents);
  const parser = new TarParser(writer, options.limits);
  const end = (): void => {
    writer.finish();
    finish({ kind: 'applied', entries: parser.entries });
  };
  const take = (message: FromExpander): void => {
    if (message.kind === 'chunk') {
      parser.push(viewOf(slots, message.slot, message.length));
      writer.makeWaiting();
      if (helper.isThere) helper.send(message.slot);
      else from.postMessage(message.slot satisfies ToExpander);
    } else {
      parser.end();
      if (helper.isThere) helper.end();
      else end();
    }
  };
  from.on('message', (message: FromExpander) => {
    if (!isOver) guarded(() => take(message));
  });
  return {
    handle: () => {},
    dispose: () => {
      isOver = true;
      from.close();
      writer[Symbol.dispose]();
      helper[Symbol.dispose]();
    },
  };
}

function contentsJob({ slots, queue, from, freed }: ToWorker & { kind: 'contents' }): Job {
  const { port, waiting } = from;
  const queued = queue === undefined ? undefined : new QueuedWrites(queue, slots.memory);
  const writer = new ContentsWriter(slots.memory, queued === undefined ? undefined : (writes) => queued.write(writes));
  const post = (message: FromHelper): void => port.postMessage(message);
  const write = (message: ToHelper): void => {
    if (message.kind === 'batch') Atomics.sub(waiting, 0, writer.write(message.table));
  };
  let isOver = false;
  const take = (message: ToHelper): void => {
    write(message);
    if (isOver) return; // what comes after a failure is closed, and its slots are not given back
    if (writer.error !== undefined) {
      isOver = true;
      post({ kind: 'failed', error: wireError(writer.error) });
    } else if (message.kind === 'end') {
      post({ kind: 'end' });
      finish({ kind: 'written' });
    } else if (message.slot !== undefined) freed.postMessage(message.slot satisfies ToExpander);
  };
  port.on('message', take);
  Atomics.add(waiting, 0, 1); // not -1 any more
  return {
    handle: () => {},
    dispose: () => {
      port.off('message', take);
      writer.fail(cancelled());
      // Descriptors are on their way here: none may stay open.
      for (let left = receiveMessageOnPort(port); left !== undefined; left = receiveMessageOnPort(port))
        write(left.message as ToHelper);
      writer[Symbol.dispose]();
      port.close();
      freed.close();
    },
  };
}

function expandJob({ input, output, limits, to, freed }: ToWorker & { kind: 'expand' }): Job {
  const writer = new SlotWriter(output, (slot, length) => post({ kind: 'chunk', slot, length }));
  const post = (message: FromExpander): void => to.postMessage(message);
  for (const port of [to, freed]) port.on('message', (slot: ToExpander) => writer.freed(slot));
  const onFreed = (slot: number, expandedBytes: number): void => send({ kind: 'freed', slot, expandedBytes });
  const expander = new Expander({ input, output: writer, limits, onFreed });
  let isCancelled = false;
  const running = expander.run().then(
    (summary) => {
      if (isCancelled) return;
      post({ kind: 'end' });
      finish({ kind: 'expanded', ...summary });
    },
    (error: unknown) => {
      if (!isCancelled) fail(error);
    },
  );
  return {
    handle(message) {
      if (message.kind === 'chunk') expander.input.filled(message.slot, message.length);
      else if (message.kind === 'end') expander.input.end();
    },
    dispose: async () => {
      isCancelled = true;
      const error = cancelled();
      expander.input.fail(error);
      writer.fail(error);
      to.close();
      freed.close();
      await running;
    },
  };
}

function packJob(start: ToWorker & { kind: 'pack' }): Job {
  const digester = new Digester();
  const count = { entries: 0 };
  const pieces = packArchive(start.request, count);
  let rest: Buffer | undefined;
  return {
    handle(message) {
      if (message.kind !== 'pull') return;
      const chunk = Buffer.from(message.memory);
      let length = 0;
      let isOver = false;
      while (length < chunk.length) {
        if (rest === undefined || rest.length === 0) {
          const next = pieces.next();
          if (next.done === true) {
            isOver = true;
            break;
          }
          rest = next.value;
        }
        const copied = rest.copy(chunk, length);
        rest = rest.subarray(copied);
        length += copied;
      }
      digester.update(chunk.subarray(0, length));
      send({ kind: 'packed', memory: message.memory, length }, message.memory);
      if (isOver)
        finish({ kind: 'done', summary: { digest: digester.digest(), size: digester.size, entries: count.entries } });
    },
    dispose: () => void pieces.return(), // closes the directories of the walk
  };
}

function treeCall(call: TreeCall): TreeUsage | undefined {
  if (call.kind === 'measure') return measureTreeSync(call.path);
  if (call.kind === 'copy') copyTreeSync(call.from, call.to);
  else rmSync(call.path, { recursive: true, force: true });
  return undefined;
}

let job: Job | undefined;

/** The job is over: its last message. */
function finish(last: FromWorker): void {
  void job?.dispose();
  job = undefined;
  send(last);
}

function fail(thrown: unknown): void {
  finish({ kind: 'failed', error: wireError(thrown) });
}

const cancelled = () => new BoxshipError('cancelled', 'archive: cancelled');

function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    fail(error);
  }
}

async function cancel(): Promise<void> {
  const ended = job;
  job = undefined;
  await ended?.dispose();
  send({ kind: 'cancelled' });
}

parentPort?.on('message', (message: ToWorker) =>
  guarded(() => {
    if (message.kind === 'apply') job = applyJob(message);
    else if (message.kind === 'contents') job = contentsJob(message);
    else if (message.kind === 'expand') job = expandJob(message);
    else if (message.kind === 'pack') job = packJob(message);
    else if (message.kind === 'call') send({ kind: 'returned', usage: treeCall(message.call) });
    else if (message.kind === 'cancel') void cancel();
    else job?.handle(message); // what comes for a job that has failed is dropped
  }),
);
