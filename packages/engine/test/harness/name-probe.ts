/** A client of a container's resolver that asks a hundred times a second and counts what it gets. */
import { createSocket } from 'node:dgram';
import { writeSync } from 'node:fs';
import { connectUdp, runInNetworkNamespace } from '@boxship/linux';

const everyMs = 10;
/** A query without an answer after this time has failed. */
const patienceMs = 2000;

export interface NameProbe {
  /** Queries without the right answer so far. */
  failures(): number;
  answers(): number;
  /** Ends when every query has been answered or has failed. Longest time between two right answers, in milliseconds. */
  stop(): Promise<{ answers: number; failures: number; longestGapMs: number }>;
}

/** @param pid a process of the container @param address what the name stands for */
export function probeName(pid: number, name: string, address: string): NameProbe {
  const fd = runInNetworkNamespace(`/proc/${pid}/ns/net`, () => connectUdp('127.0.0.11', 53));
  const expected = Buffer.from(address.split('.').map(Number));
  const pending = new Map<number, NodeJS.Timeout>();
  let [failures, answers, next, longestGapMs, lastAnswerAt] = [0, 0, 0, 0, performance.now()];
  const settle = (id: number, isRight: boolean): void => {
    const timer = pending.get(id);
    if (timer === undefined) return;
    clearTimeout(timer);
    pending.delete(id);
    if (!isRight) {
      failures += 1;
      return;
    }
    answers += 1;
    longestGapMs = Math.max(longestGapMs, performance.now() - lastAnswerAt);
    lastAnswerAt = performance.now();
  };
  const socket = createSocket('udp4');
  socket.on('message', (bytes) => settle(bytes.readUInt16BE(0), bytes.subarray(-4).equals(expected)));
  socket.on('error', () => {}); // nobody listens: the query fails by its patience
  socket.bind({ fd });
  const timer = setInterval(() => {
    const id = next++ & 0xffff;
    pending.set(
      id,
      setTimeout(() => settle(id, false), patienceMs),
    );
    try {
      writeSync(fd, queryFor(id, name));
    } catch {
      settle(id, false); // the refusal of the one before
    }
  }, everyMs);
  return {
    failures: () => failures,
    answers: () => answers,
    async stop() {
      clearInterval(timer);
      while (pending.size > 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
      socket.close();
      return { answers, failures, longestGapMs };
    },
  };
}

function queryFor(id: number, name: string): Buffer {
  const header = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}
