/** `top`: the host's ps, reduced to the container's processes. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BoxshipError } from '@boxship/base';
import type { TopResponse } from '@boxship/engine-api';
import type { Parts } from '../parts.ts';
import { type Container, eventAttributes, notRunning } from './model.ts';

const run = promisify(execFile);
const timeoutMs = 10_000;

/** @throws conflict when not running; invalidArgument when ps gives no PID column */
export async function topContainer(parts: Parts, container: Container, psArgs: string): Promise<TopResponse> {
  if (!container.record.state.Running) throw notRunning(container);
  const args = (psArgs === '' ? '-ef' : psArgs).split(/\s+/).filter((word) => word !== '');
  const { processes } = await parts.containerd.tasks.listPids({ containerId: container.id });
  const pids = new Set(processes.map((process) => process.pid));
  let text: string;
  try {
    text = (await run('ps', args, { timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 })).stdout;
  } catch (error) {
    throw new BoxshipError(
      'invalidArgument',
      `error running ps: ${(error as { stderr?: string }).stderr?.trim() ?? ''}`,
      { cause: error },
    );
  }
  const result = parsePs(text, pids);
  parts.events.publish('container', 'top', container.id, eventAttributes(container.record));
  return result;
}

/** Columns by the header; the last column holds the rest of the line. */
export function parsePs(text: string, pids: ReadonlySet<number>): TopResponse {
  const [header = '', ...lines] = text.split('\n');
  const titles = header.split(/\s+/).filter((title) => title !== '');
  const pidColumn = titles.indexOf('PID');
  if (pidColumn < 0) throw new BoxshipError('invalidArgument', "Couldn't find PID field in ps output");
  const processes = lines
    .map((line) => {
      const words = line.split(/\s+/).filter((word) => word !== '');
      return [...words.slice(0, titles.length - 1), words.slice(titles.length - 1).join(' ')];
    })
    .filter((row) => pids.has(Number(row[pidColumn])));
  return { Titles: titles, Processes: processes };
}
