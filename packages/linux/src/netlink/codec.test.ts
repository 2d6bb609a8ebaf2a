import { describe, expect, test } from 'vitest';
import { addressToBytes, bytesToAddress, bytesToMac, macToBytes } from './address-text.ts';
import { attribute, decodeMessages, encodeMessages, listAttributes, parseAttributes, readText } from './codec.ts';
import { newBridge } from './link.ts';

describe('netlink bytes', () => {
  test('attributes carry their length without padding and are padded to four', () => {
    expect(attribute.text(3, 'br0')).toEqual(Buffer.from([8, 0, 3, 0, 0x62, 0x72, 0x30, 0]));
    expect(attribute.u8(7, 1)).toEqual(Buffer.from([5, 0, 7, 0, 1, 0, 0, 0]));
    expect(attribute.be16(15, 4789)).toEqual(Buffer.from([6, 0, 15, 0, 0x12, 0xb5, 0, 0]));
    expect(attribute.nested(2, attribute.u32(1, 5))).toEqual(Buffer.from([12, 0, 2, 0x80, 8, 0, 1, 0, 5, 0, 0, 0]));
  });

  test('what was written is read, repeated types included, truncated tails left out', () => {
    const bytes = Buffer.concat([attribute.text(3, 'eth0'), attribute.u32(4, 1500), attribute.u32(4, 1400)]);
    expect(readText(parseAttributes(bytes).get(3))).toBe('eth0');
    expect(parseAttributes(bytes).get(4)?.readUInt32LE(0)).toBe(1400);
    expect(listAttributes(bytes).map(([type]) => type)).toEqual([3, 4, 4]);
    expect(listAttributes(bytes.subarray(0, bytes.length - 2)).map(([type]) => type)).toEqual([3, 4]);
    expect(listAttributes(Buffer.from([0, 0, 1, 0]))).toEqual([]);
  });

  test('messages of a batch are numbered and come back whole', () => {
    const bytes = encodeMessages([newBridge({ name: 'br0' }), newBridge({ name: 'br1' })], 0xffffffff);
    const messages = decodeMessages(bytes);
    expect(messages.map(({ type, sequence }) => [type, sequence])).toEqual([
      [16, 0xffffffff],
      [16, 0],
    ]);
    expect(readText(parseAttributes(messages[1]?.payload ?? Buffer.alloc(0), 16).get(3))).toBe('br1');
  });
});

describe('addresses as text', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['fe80::', 'fe80::'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ])('%s', (text, canonical) => expect(bytesToAddress(addressToBytes(text))).toBe(canonical));

  test.each(['', '10.0.0', '1::2::3', 'fe80::1%eth0', '256.0.0.1'])('%j is refused', (text) =>
    expect(() => addressToBytes(text)).toThrow('invalid IP address'),
  );

  test('hardware addresses', () => {
    expect(bytesToMac(macToBytes('02:42:AC:11:00:02'))).toBe('02:42:ac:11:00:02');
    expect(() => macToBytes('02:42')).toThrow('02:42 is not a valid mac address');
  });
});
