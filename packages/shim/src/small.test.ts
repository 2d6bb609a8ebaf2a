import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identifyGroup, socketPath } from './address.ts';
import { parseArguments } from './arguments.ts';
import { parseOutputTarget } from './log/logging-uri.ts';
import { inheritedFiles, readImageNotes, writeImageNotes } from './task/checkpoint-image.ts';
import { allowed, checkAllowed, checkEdge, edges, states, type Verb } from './task/state.ts';

describe('command line', () => {
  it("takes containerd's flags in any of Go's spellings", () => {
    const args = ['-namespace', 'ns', '--address=/a', '-publish-binary', '/b', '-id', 'x', '-debug', 'start'];
    expect(parseArguments(args)).toMatchObject({
      action: 'start',
      namespace: 'ns',
      address: '/a',
      id: 'x',
      isDebug: true,
    });
    expect(parseArguments(['-info']).action).toBe('info');
    expect(parseArguments(['-v']).action).toBe('version');
  });
  it('names what it does not understand', () => {
    expect(() => parseArguments(['-frob', 'start'])).toThrow('flag provided but not defined: -frob');
    expect(() => parseArguments(['-namespace', '../x', '-id', 'a', 'start'])).toThrow('must match');
    expect(() => parseArguments(['-namespace', 'n', '-id', 'a', 'dance'])).toThrow('"dance"');
  });
});

describe('groups', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'group-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const bundle = (annotations: object) => {
    writeFileSync(join(root, 'config.json'), JSON.stringify({ ociVersion: '1.0.2', annotations }));
    return identifyGroup(root, 'id');
  };
  it('come from annotations, else from the id', () => {
    expect(bundle({ 'io.containerd.runc.v2.group': 'g' })).toEqual({ groupId: 'g', isWarm: false });
    expect(bundle({ 'io.kubernetes.cri.sandbox-id': 's' })).toEqual({ groupId: 's', isWarm: false });
    expect(bundle({})).toEqual({ groupId: 'id', isWarm: false });
    expect(() => bundle({ 'io.containerd.runc.v2.group': '../../x' })).toThrow('must match');
  });
  it('of a warm shim need no bundle', () => {
    mkdirSync(join(root, '.group-all'));
    expect(identifyGroup(join(root, '.group-all'), 'all')).toEqual({ groupId: 'all', isWarm: true });
  });
  it('socket paths fit into an address or are refused with advice', () => {
    expect(socketPath('/run/boxship/s', '/c.sock', 'n', 'g')).toMatch(/^\/run\/boxship\/s\/[0-9a-f]{64}$/);
    expect(() => socketPath('/x'.repeat(60), '/c', 'n', 'g')).toThrow('BOXSHIP_SHIM_SOCKET_DIR');
  });
});

describe('output targets', () => {
  it("follow containerd's schemes", () => {
    expect(parseOutputTarget('', '')).toEqual({ kind: 'none' });
    expect(parseOutputTarget('/run/f', '')).toEqual({ kind: 'fifo' });
    expect(parseOutputTarget('', '/run/e')).toEqual({ kind: 'fifo' });
    expect(parseOutputTarget('file:///a%20b', '')).toEqual({ kind: 'file', path: '/a b' });
    expect(parseOutputTarget('binary:///bin/x?k=v&k2=', '')).toEqual({
      kind: 'program',
      path: '/bin/x',
      arguments: ['k', 'v', 'k2', ''],
    });
    expect(() => parseOutputTarget('ftp://x', '')).toThrow('unknown STDIO scheme ftp');
  });
  it('our logger is known by name, its options are checked', () => {
    const uri =
      'binary:///x/boxship-logger?driver=json-file&path=/l&max-size=10&max-file=3&labels=%7B%22a%22%3A1%7D&attach=/s';
    expect(parseOutputTarget(uri, '')).toEqual({
      kind: 'logger',
      options: {
        driver: 'json-file',
        path: '/l',
        maxSizeBytes: 10,
        maxFiles: 3,
        isCompressed: false,
        attrs: { a: '1' },
        attachPath: '/s',
      },
    });
    for (const bad of [
      'driver=syslog',
      'path=relative',
      'path=/l&max-size=1k',
      'path=/l&labels=x',
      'driver=none&attach=s',
    ])
      expect(() => parseOutputTarget(`binary:///boxship-logger?${bad}`, '')).toThrow('logging URI');
  });
});

describe('states', () => {
  it('every pair of state and verb either passes or fails with a sentence', () => {
    for (const verb of Object.keys(allowed) as Verb[])
      for (const state of states) {
        if (allowed[verb].includes(state)) expect(() => checkAllowed(verb, state)).not.toThrow();
        else
          expect(() => checkAllowed(verb, state)).toThrow(
            verb === 'kill' ? 'process already finished' : `cannot ${verb} `,
          );
      }
  });
  it('every pair of states is an edge or a defect', () => {
    for (const from of states)
      for (const to of states) {
        if (from === to || edges[from].includes(to)) expect(() => checkEdge(from, to)).not.toThrow();
        else expect(() => checkEdge(from, to)).toThrow('illegal change');
      }
  });
});

describe('notes beside an image of CRIU', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'notes-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const notes = (key: string) => ({
    version: 1 as const,
    files: [{ key, stream: 'stderr' as const }],
    isTcpEstablished: false,
    isExtUnixSk: false,
    isShellJob: false,
    isFileLocks: false,
    emptyNamespaces: [],
  });

  it('say which descriptor each file of the host becomes', () => {
    writeImageNotes(directory, notes('file[1f:abc]'));
    const read = readImageNotes(directory);
    expect(read === undefined ? [] : inheritedFiles(read)).toEqual(['inherit-fd fd[2]:file[1f:abc]']);
  });
  it('cannot bring other options into the configuration of CRIU', () => {
    for (const key of ['file[1:2]\naction-script /evil', 'file[1:2] ', '../x']) {
      writeImageNotes(directory, notes(key));
      expect(() => readImageNotes(directory)).toThrow('none that this shim can read');
    }
  });
  it('are absent from an image of another shim', () => {
    expect(readImageNotes(directory)).toBeUndefined();
  });
});
