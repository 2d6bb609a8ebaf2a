/** Internet and hardware addresses between text and the bytes that netlink carries. */

import { isIPv4, isIPv6 } from 'node:net';
import { BoxshipError } from '@boxship/base';

/** 4 or 16 bytes in network order. @throws invalidArgument */
export function addressToBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text) || text.includes('%')) throw new BoxshipError('invalidArgument', `invalid IP address: ${text}`);
  let body = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail?.[1] !== undefined && tail[2] !== undefined) {
    const v4 = Buffer.from(tail[2].split('.').map(Number));
    body = `${tail[1]}${v4.readUInt16BE(0).toString(16)}:${v4.readUInt16BE(2).toString(16)}`;
  }
  const [head = '', rest] = body.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = rest === undefined ? [] : words(rest);
  const buffer = Buffer.alloc(16);
  for (const [index, word] of left.entries()) buffer.writeUInt16BE(word, index * 2);
  for (const [index, word] of right.entries()) buffer.writeUInt16BE(word, (8 - right.length + index) * 2);
  return buffer;
}

/** Canonical text (RFC 5952 for IPv6) of 4 or 16 bytes. */
export function bytesToAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const view = Buffer.from(bytes);
  const words = Array.from({ length: 8 }, (_, index) => view.readUInt16BE(index * 2));
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && words[start + length] === 0) length++;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  const text = (part: number[]): string => part.map((word) => word.toString(16)).join(':');
  if (bestStart === -1) return text(words);
  return `${text(words.slice(0, bestStart))}::${text(words.slice(bestStart + bestLength))}`;
}

/** Six bytes of `02:42:ac:11:00:02`. @throws invalidArgument with Docker's text */
export function macToBytes(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text))
    throw new BoxshipError('invalidArgument', `${text} is not a valid mac address`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

export const bytesToMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
