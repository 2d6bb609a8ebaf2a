/** Reading back what was written, and never failing in any other way than by a typed error. */
import { BoxshipError } from '@boxship/base';
import { describe, expect, it } from 'vitest';
import { defaultLimits } from '../limits.ts';
import { bytesOf, nameOf, newEntry, type TarEntry, textOf } from './entry.ts';
import { parseHeader } from './header.ts';
import { TarParser } from './parser.ts';
import { encodePax, parsePax } from './pax.ts';
import { readTar } from './read-entries.ts';
import { encodeEntry, tarEnd, tarPadding } from './writer.ts';

interface Read {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

/** Parses in chunks of the given size. */
function parse(archive: Buffer, chunkSize = archive.length): Read[] {
  const found: Read[] = [];
  let parts: Buffer[] = [];
  let current: TarEntry | undefined;
  const parser = new TarParser({
    entry: (entry) => {
      current = entry;
      parts = [];
    },
    data: (bytes) => parts.push(Buffer.from(bytes)),
    hole: (length) => parts.push(Buffer.alloc(Math.min(length, 1e7))),
    endEntry: () => current !== undefined && found.push({ entry: current, content: Buffer.concat(parts) }),
  });
  for (let at = 0; at < archive.length; at += chunkSize) parser.push(archive.subarray(at, at + chunkSize));
  parser.end();
  return found;
}

function write(entries: readonly (readonly [TarEntry, Buffer])[]): Buffer {
  return Buffer.concat([
    ...entries.flatMap(([entry, content]) => [encodeEntry(entry), content, tarPadding(content.length)]),
    tarEnd,
  ]);
}

/** A small generator with a seed: a failure can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomEntry(next: (below: number) => number): [TarEntry, Buffer] {
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => 1 + next(255)));
  const name = Array.from({ length: 1 + next(6) }, () =>
    bytes(1 + next(90))
      .toString('latin1')
      .replaceAll('/', '_'),
  ).join('/');
  const types = ['file', 'directory', 'symlink', 'hardlink', 'character', 'block', 'fifo'] as const;
  const type = types[next(types.length)] ?? 'file';
  const content = type === 'file' ? bytes(next(3000)) : Buffer.alloc(0);
  const isDevice = type === 'character' || type === 'block';
  const entry = newEntry({
    name: type === 'directory' ? `${name}/` : name,
    type,
    linkName: type === 'symlink' || type === 'hardlink' ? bytes(1 + next(300)).toString('latin1') : '',
    mode: next(0o10000),
    uid: next(2) === 0 ? next(1000) : next(4294967295),
    gid: next(2) === 0 ? next(1000) : next(4294967295),
    size: content.length,
    mtime: { seconds: next(2) === 0 ? next(2 ** 31) : 2 ** 40 + next(1000), nanoseconds: 0 },
    major: isDevice ? next(4096) : 0,
    minor: isDevice ? next(2 ** 20) : 0,
    xattrs:
      type === 'file' && next(2) === 0
        ? new Map([['user.x', Buffer.concat([bytes(next(50)), Buffer.from([0, 10, 61])])]])
        : new Map(),
  });
  return [entry, content];
}

describe('the tar codec', () => {
  it('takes checksums of unsigned and of signed bytes, wherever the header lies', () => {
    const block = encodeEntry(newEntry({ name: 'name', type: 'file' }));
    block.fill(0xff, 0, 99);
    block.fill(0xff, 157, 257);
    block.fill(0xff, 265, 329);
    for (const signed of [false, true]) {
      block.fill(0x20, 148, 156);
      const sum = block.subarray(0, 512).reduce((all, byte) => all + (signed && byte > 127 ? byte - 256 : byte), 0);
      block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
      for (const shift of [0, 1, 2, 4]) {
        const moved = Buffer.alloc(512 + shift, 1);
        block.copy(moved, shift, 0, 512);
        expect(parseHeader(moved.subarray(shift))?.name).toBe(block.toString('latin1', 0, 99));
        moved[shift + 300] = 0xfe;
        expect(() => parseHeader(moved.subarray(shift))).toThrow('checksum differs');
      }
    }
  });

  it('reads what it wrote, in chunks of any size', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const next = random(seed);
      const entries = Array.from({ length: 1 + next(10) }, () => randomEntry(next));
      const archive = write(entries);
      for (const chunk of [archive.length, 1 + next(700)]) {
        const found = parse(archive, chunk);
        expect(
          found.map(({ entry }) => entry),
          `seed ${seed}`,
        ).toEqual(entries.map(([entry]) => entry));
        expect(found.map(({ content }) => content.toString('hex'))).toEqual(
          entries.map(([, content]) => content.toString('hex')),
        );
      }
    }
  });

  it('fails only by its own errors on damaged archives', () => {
    let refused = 0;
    for (let seed = 1; seed <= 3000; seed++) {
      const next = random(seed);
      const archive = write(Array.from({ length: 1 + next(3) }, () => randomEntry(next)));
      for (let count = 1 + next(4); count > 0; count--) archive[next(archive.length)] = next(256);
      try {
        parse(next(3) === 0 ? archive.subarray(0, next(archive.length)) : archive, 1 + next(2000));
      } catch (error) {
        refused++;
        expect(BoxshipError.is(error), `seed ${seed}: ${error}`).toBe(true);
        expect(['invalidArgument', 'resourceExhausted']).toContain((error as BoxshipError).kind);
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });

  it('survives PAX records with any bytes', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const next = random(seed);
      const bytes = encodePax([
        ['path', Buffer.from('x'.repeat(next(200)))],
        ['SCHILY.xattr.a', Buffer.from([next(256), 0, 10])],
      ]);
      for (let count = next(3); count > 0; count--) bytes[next(bytes.length)] = next(256);
      try {
        parsePax(bytes, defaultLimits);
      } catch (error) {
        expect(BoxshipError.is(error), `seed ${seed}`).toBe(true);
      }
    }
  });

  it.each([
    ['a record that counts itself', '-1 path=x\n'],
    ['a length of zero', '0 path=x\n'],
    ['a length beyond the data', '99 path=x\n'],
    ['no key', '6 xxx\n'],
    ['no end', '9 path=xx'],
  ])('refuses a PAX record with %s', (_, text) => {
    expect(() => parsePax(Buffer.from(text), defaultLimits)).toThrow(
      expect.objectContaining({ kind: 'invalidArgument' }),
    );
  });

  it('writes lengths that count their own digits', () => {
    for (const size of [1, 88, 89, 90, 91, 985, 986, 987, 9980, 9981, 9990]) {
      const [record] = parsePax(encodePax([['key', Buffer.alloc(size, 'v')]]), defaultLimits);
      expect(record?.value.length).toBe(size);
    }
  });

  it('refuses extended headers beyond the limit before reading them', () => {
    const huge = encodeEntry(newEntry({ name: 'x', type: 'file', size: 100_000_000 }));
    huge[156] = 'x'.charCodeAt(0);
    huge.write('        ', 148, 'latin1');
    const sum = huge.reduce((total, byte) => total + byte, 0);
    huge.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    expect(() => parse(huge)).toThrow(expect.objectContaining({ kind: 'resourceExhausted' }));
  });

  it('keeps names that are no UTF-8', () => {
    const name = Buffer.from([0x61, 0xff, 0xfe]).toString('latin1');
    expect(bytesOf(parse(write([[newEntry({ name, type: 'fifo' }), Buffer.alloc(0)]]))[0]?.entry.name ?? '')).toEqual(
      Buffer.from([0x61, 0xff, 0xfe]),
    );
    expect(textOf(nameOf('ümläut'))).toBe('ümläut');
  });

  it('gives members as streams, and passes over what is not read', async () => {
    const archive = write(
      ['a', 'b', 'c'].map((name) => [newEntry({ name, type: 'file', size: 5000 }), Buffer.alloc(5000, name)] as const),
    );
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < archive.length; at += 777) yield archive.subarray(at, at + 777);
    };
    const found: string[] = [];
    for await (const { entry, body } of readTar(source())) {
      if (entry.name === 'a') continue;
      let size = 0;
      for await (const chunk of body) {
        size += chunk.length;
        if (entry.name === 'b') break;
      }
      found.push(`${entry.name} ${size > 0} ${size === 5000}`);
    }
    expect(found).toEqual(['b true false', 'c true true']);
  });
});
