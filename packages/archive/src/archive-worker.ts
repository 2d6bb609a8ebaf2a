/**
 * The program of the archive thread: hashes and unpacks, or walks and packs, synchronously, so that the main thread does
 * neither. A sibling of the modules that start it, also in a bundle (`archive-worker.cjs`).
 */
import { rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { BoxshipError } from '@boxship/base';
import { Digester } from '@boxship/oci';
import { LayerWriter } from './apply/layer-writer.ts';
import { packArchive } from './diff/pack-archive.ts';
import { TarParser } from './tar/parser.ts';
import type { TreeCall, TreeUsage } from './tree/calls.ts';
import { copyTreeSync } from './tree/copy.ts';
import { measureTreeSync } from './tree/measure.ts';
import { type ArchiveSummary, chunkBytes, type FromWorker, type ToWorker } from './worker-protocol.ts';

interface Job extends Disposable {
  handle(message: ToWorker): void;
}

const send = (message: FromWorker, memory?: ArrayBuffer): void =>
  parentPort?.postMessage(message, memory === undefined ? [] : [memory]);

function applyJob(start: ToWorker & { kind: 'apply' }): Job {
  const writer = new LayerWriter(start.target, start.options);
  const parser = new TarParser(writer, start.options.limits);
  const digester = new Digester();
  return {
    handle(message) {
      if (message.kind === 'chunk') {
        const bytes = Buffer.from(start.memory, message.slot * chunkBytes, message.length);
        digester.update(bytes);
        parser.push(bytes);
        send({ kind: 'free', slot: message.slot });
      } else if (message.kind === 'end') {
        parser.end();
        writer.finish();
        finish({ digest: digester.digest(), size: digester.size, entries: parser.entries });
      }
    },
    [Symbol.dispose]: () => writer[Symbol.dispose](),
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
      if (isOver) finish({ digest: digester.digest(), size: digester.size, entries: count.entries });
    },
    [Symbol.dispose]: () => void pieces.return(), // closes the directories of the walk
  };
}

function treeCall(call: TreeCall): TreeUsage | undefined {
  if (call.kind === 'measure') return measureTreeSync(call.path);
  if (call.kind === 'copy') copyTreeSync(call.from, call.to);
  else rmSync(call.path, { recursive: true, force: true });
  return undefined;
}

let job: Job | undefined;

function finish(summary: ArchiveSummary): void {
  job?.[Symbol.dispose]();
  job = undefined;
  send({ kind: 'done', summary });
}

parentPort?.on('message', (message: ToWorker) => {
  try {
    if (message.kind === 'apply') job = applyJob(message);
    else if (message.kind === 'pack') job = packJob(message);
    else if (message.kind === 'call') send({ kind: 'returned', usage: treeCall(message.call) });
    else if (message.kind === 'cancel') {
      job?.[Symbol.dispose]();
      job = undefined;
      send({ kind: 'cancelled' });
    } else job?.handle(message); // chunks of a job that has failed are dropped
  } catch (thrown) {
    job?.[Symbol.dispose]();
    job = undefined;
    const error = BoxshipError.from(thrown);
    send({
      kind: 'failed',
      error: { kind: error.kind, message: error.message, details: error.details, stack: error.stack },
    });
  }
});
