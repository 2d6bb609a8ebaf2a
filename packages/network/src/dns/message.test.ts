import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  addressAnswer,
  answerToRefused,
  disguise,
  encodeAnswer,
  fitOf,
  parseQuery,
  pointerAnswer,
  recordType,
  responseCodeOf,
  undisguise,
} from './message.ts';

const label = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
const nameOf = (...labels: readonly string[]): Buffer => Buffer.concat([...labels.map(label), Buffer.from([0])]);

function query(name: Buffer, type: number, options: { edns?: number; header?: readonly number[] } = {}): Buffer {
  const extra = options.edns === undefined ? [] : [0, 0, 41, options.edns >> 8, options.edns & 255, 0, 0, 0, 0, 0, 0];
  const header = options.header ?? [0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, extra.length === 0 ? 0 : 1];
  return Buffer.concat([Buffer.from(header), name, Buffer.from([0, type, 0, 1]), Buffer.from(extra)]);
}

const refusalOf = (bytes: Buffer): number | undefined | 'parsed' => {
  try {
    parseQuery(bytes);
    return 'parsed';
  } catch (error) {
    const answer = answerToRefused(bytes, error);
    if (answer === undefined) return undefined;
    expect([answer.length, answer.subarray(0, 2)]).toEqual([12, bytes.subarray(0, 2)]);
    return responseCodeOf(answer);
  }
};

describe('queries', () => {
  test('are read with name, type and what the client takes', () => {
    expect(parseQuery(query(nameOf('Web', 'app'), 1))).toMatchObject({
      id: 0x1234,
      name: 'Web.app',
      type: 1,
      payloadSize: 512,
      hasEdns: false,
    });
    expect(parseQuery(query(nameOf(), 2)).name).toBe('');
    expect(parseQuery(query(nameOf('x'), 28, { edns: 1232 })).payloadSize).toBe(1232);
    expect(parseQuery(query(nameOf('x'), 28, { edns: 65_000 })).payloadSize).toBe(4096);
    expect(parseQuery(query(nameOf('x'), 28, { edns: 100 })).payloadSize).toBe(512);
  });

  test('dots inside of labels do not make two labels of one', () => {
    expect(parseQuery(query(nameOf('web.app', 'a\\b', 'ü\0'), 1)).name).toBe('web\\.app.a\\\\b.\\252\\000');
  });

  test.each([
    ['a response', query(nameOf('x'), 1, { header: [0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0] }), undefined],
    ['no header', Buffer.alloc(11), undefined],
    ['another opcode', query(nameOf('x'), 1, { header: [0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0] }), 4],
    ['two questions', query(nameOf('x'), 1, { header: [0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0] }), 1],
    ['answers in a query', query(nameOf('x'), 1, { header: [0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0] }), 1],
    ['a compression loop', query(Buffer.from([0xc0, 12]), 1), 1],
    ['a label of 64', query(nameOf('a'.repeat(64)), 1), 1],
    ['a label of 255', query(Buffer.concat([Buffer.from([255]), Buffer.alloc(255, 97), Buffer.from([0])]), 1), 1],
    ['a name over 255 bytes', query(nameOf(...Array.from({ length: 130 }, () => 'a')), 1), 1],
    ['a name that never ends', Buffer.concat([query(nameOf(), 1).subarray(0, 12), label('abc')]), 1],
    [
      'a record that is announced and missing',
      query(nameOf('x'), 1, { header: [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1] }),
      1,
    ],
  ])('%s is not read', (_what, bytes, code) => {
    expect(refusalOf(bytes)).toBe(code);
  });

  test('another class is refused', () => {
    const bytes = query(nameOf('version', 'bind'), 16);
    bytes.writeUInt16BE(3, bytes.length - 2);
    expect(refusalOf(bytes)).toBe(5);
  });

  test('no bytes make the reader throw anything else or go on for ever', () => {
    const valid = query(nameOf('some', 'name', 'example'), 1, { edns: 4096 });
    for (let round = 0; round < 20_000; round++) {
      const bytes = round % 2 === 0 ? Buffer.from(valid) : randomBytes(round % 80);
      for (let flips = round % 7; flips > 0 && bytes.length > 0; flips--)
        bytes[randomBytes(1).readUInt8() % bytes.length] = randomBytes(1).readUInt8();
      const cut = bytes.subarray(0, randomBytes(1).readUInt8() % (bytes.length + 1));
      for (const candidate of [bytes, cut]) {
        const outcome = refusalOf(candidate);
        if (outcome !== 'parsed') continue;
        const { questionEnd, name } = parseQuery(candidate);
        expect(questionEnd).toBeLessThanOrEqual(candidate.length);
        expect(name.length).toBeLessThanOrEqual(4 * 255);
      }
    }
  });
});

describe('answers', () => {
  const asked = parseQuery(query(nameOf('Web'), recordType.a, { edns: 4096 }));

  test('repeat the question as it was asked and point to it', () => {
    const bytes = encodeAnswer(asked, 0, [addressAnswer('10.0.0.2', 5)], 4096);
    expect(bytes.subarray(0, 4)).toEqual(Buffer.from([0x12, 0x34, 0x85, 0x80])); // QR AA RD, RA
    expect(bytes.subarray(12, asked.questionEnd)).toEqual(asked.bytes.subarray(12, asked.questionEnd));
    expect(bytes.subarray(asked.questionEnd, -11).toString('hex')).toBe('c00c000100010000000500040a000002');
    expect(bytes.subarray(-11).toString('hex')).toBe('0000291000000000000000');
  });

  test('that do not fit are cut between records', () => {
    const answers = Array.from({ length: 60 }, (_, index) => addressAnswer(`10.0.0.${index}`, 5));
    const bytes = encodeAnswer(asked, 0, answers, 512);
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect(bytes.readUInt8(2) & 0x02).toBe(0x02);
    expect(bytes.length).toBe(asked.questionEnd + 11 + bytes.readUInt16BE(6) * 16);
    expect(encodeAnswer(asked, 0, answers, 4096).readUInt16BE(6)).toBe(60);
  });

  test('names are written as labels', () => {
    expect(pointerAnswer('web.app', 5).data.toString('latin1')).toBe('\x03web\x03app\0');
    expect(() => pointerAnswer(`${'a'.repeat(64)}.app`, 5)).toThrow('1 to 63 bytes');
  });
});

describe('a query passed on', () => {
  const asked = parseQuery(query(nameOf('some', 'Name', '0x2a-'), recordType.aaaa));

  test('keeps its meaning, and its answer comes back as if it had never changed', () => {
    for (let round = 0; round < 200; round++) {
      const sent = disguise(asked, 0xbeef, randomBytes(8));
      expect(parseQuery(sent).name.toLowerCase()).toBe('some.name.0x2a-');
      const answer = encodeAnswer(parseQuery(sent), 0, [addressAnswer('fd00::1', 9)], 512);
      expect(fitOf(sent, asked.questionEnd, answer)).toBe('exact');
      expect(undisguise(asked, answer)).toEqual(encodeAnswer(asked, 0, [addressAnswer('fd00::1', 9)], 512));
    }
  });

  test('takes only its own answer', () => {
    const sent = disguise(asked, 0xbeef, Buffer.from([1]));
    const answer = encodeAnswer(parseQuery(sent), 0, [], 512);
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(answer);
      copy[at] = value;
      return copy;
    };
    expect(fitOf(sent, asked.questionEnd, changed(0, 1))).toBe('other'); // another id
    expect(fitOf(sent, asked.questionEnd, changed(2, 1))).toBe('other'); // a query
    expect(fitOf(sent, asked.questionEnd, changed(14, 0x58))).toBe('other'); // another name
    expect(fitOf(sent, asked.questionEnd, changed(13, (sent[13] ?? 0) ^ 0x20))).toBe('otherCase');
    expect(fitOf(sent, asked.questionEnd, answer.subarray(0, 20))).toBe('other');
  });
});
