import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStat } from '@boxship/linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness, readJsonLog } from './harness.ts';

describe('a container under the shim', () => {
  let h: Harness;
  beforeAll(async () => {
    h = await Harness.start();
  });
  afterAll(async () => {
    await h[Symbol.asyncDispose]();
  });

  it('lives from create to delete, with its events in order', async () => {
    const log = join(h.root, 'a.log');
    const { id, pid } = await h.create(['sh', '-c', 'echo out; echo err >&2; exit 3'], { stdout: h.logUri(log) });
    expect(await h.task.state({ id, execId: '' })).toMatchObject({ id, pid, status: 1 });
    const waiting = h.wait(id);
    expect(await h.task.start({ id, execId: '' })).toEqual({ pid });
    expect(await waiting).toBe(3);
    expect(readJsonLog(log).map((r) => [r.stream, r.log])).toEqual([
      ['stdout', 'out\n'],
      ['stderr', 'err\n'],
    ]);
    expect(await h.task.state({ id, execId: '' })).toMatchObject({ status: 3, exitStatus: 3 });
    expect(await h.task.delete({ id, execId: '' })).toMatchObject({ pid, exitStatus: 3 });
    await h.until(() => h.topics(id).length === 4);
    expect(h.topics(id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    await expect(h.task.state({ id, execId: '' })).rejects.toMatchObject({
      kind: 'notFound',
      message: 'container not created',
    });
    expect(
      readdirSync(join(h.bundles, id)).filter((name) => !['config.json', 'init.pid', 'exit.json'].includes(name)),
    ).toEqual([]);
  });
});
