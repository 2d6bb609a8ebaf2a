/** Whether text can stand in a json-file record as it is. Asked of whole lines at a time: most output is such text. */
import { isUtf8 } from 'node:buffer';

const ESCAPED = 1;
const MULTIBYTE = 2;

// as in json-format.ts, but newlines may stand between the lines
const classes = new Uint8Array(256);
for (let byte = 0; byte < 0x20; byte++) classes[byte] = ESCAPED;
for (const char of '<>&"\\') classes[char.charCodeAt(0)] = ESCAPED;
classes[0x0a] = 0;
classes.fill(MULTIBYTE, 0x80);

// escaped although they are printable: JavaScript once took them for ends of lines
const lineSeparator = Buffer.from('\u2028');
const paragraphSeparator = Buffer.from('\u2029');

export function isPlainText(bytes: Buffer, from: number, to: number): boolean {
  let found = 0;
  // no branch within: this loop runs over all output
  for (let i = from; i < to; i++) found |= classes[bytes[i] as number] as number;
  if (found === 0) return true;
  if ((found & ESCAPED) !== 0) return false;
  const text = bytes.subarray(from, to);
  return isUtf8(text) && !text.includes(lineSeparator) && !text.includes(paragraphSeparator);
}
