import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, silentLogger } from '@boxship/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SandboxRecord } from '../model.ts';
import { SandboxJournal } from './sandbox-journal.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'boxship-journal-'));
  path = join(directory, 'sandboxes.jsonl');
});
afterEach(() => rmSync(directory, { recursive: true }));

const record = (id: string, containerName = id): SandboxRecord => ({
  state: 'ready',
  spec: { id, containerName, hostname: id, domainname: '', endpoints: [] },
  bootId: 'boot',
  namespacePath: `/netns/${id}`,
  endpoints: [],
  ports: [],
  nextInterface: 0,
});

function opened(records: readonly SandboxRecord[] = []): SandboxJournal {
  const journal = new SandboxJournal(path, silentLogger);
  journal.rewrite(records);
  return journal;
}

test('a reader finds the last of each record, and none of those that are gone', () => {
  using journal = opened([record('a'), record('b')]);
  journal.save(record('c'));
  journal.save(record('a', 'renamed'));
  journal.delete('b');
  journal.delete('never');
  expect(new SandboxJournal(path, silentLogger).read()).toEqual([record('c'), record('a', 'renamed')]);
});

test('there is no journal before the first start', () => {
  expect(new SandboxJournal(path, silentLogger).read()).toEqual([]);
});

test('a line that was cut off is told and costs no other', () => {
  using journal = opened();
  journal.save(record('a'));
  appendFileSync(path, '\n{"id":"b","record":{"sta');
  journal.save(record('c'));
  const told: string[] = [];
  const log: Logger = { ...silentLogger, error: (message) => void told.push(message) };
  expect(new SandboxJournal(path, log).read()).toEqual([record('a'), record('c')]);
  expect(told).toEqual(['copy of a record cannot be read: the record is lost']);
});

test('it does not grow without end', () => {
  using journal = opened([record('stays')]);
  const long = 'x'.repeat(100_000);
  for (let round = 0; round < 50; round++) journal.save(record('busy', `${round} ${long}`));
  expect(statSync(path).size).toBeLessThan(2_000_000);
  expect(readFileSync(path, 'utf8')).toContain('stays');
  const names = new SandboxJournal(path, silentLogger).read().map(({ spec }) => spec.containerName.split(' ')[0]);
  expect(names).toEqual(['stays', '49']);
});
