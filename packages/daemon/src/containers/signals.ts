/** Signals by number or name, with or without SIG, as `kill -s` and STOPSIGNAL write them. */
import { constants } from 'node:os';
import { BoxshipError } from '@boxship/base';

const realTimeMin = 34;
const realTimeMax = 64;

/** @throws invalidArgument `Invalid signal: X` */
export function parseSignal(text: string): number {
  const invalid = () => new BoxshipError('invalidArgument', `Invalid signal: ${text}`);
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    if (number < 1 || number > realTimeMax) throw invalid();
    return number;
  }
  const name = text.trim().toUpperCase().replace(/^SIG/, '');
  const known = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (known !== undefined) return known;
  const [, base, sign, offset = '0'] = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  if (base === undefined) throw invalid();
  const number = (base === 'MIN' ? realTimeMin : realTimeMax) + (sign === '-' ? -1 : 1) * Number(offset);
  if (number < realTimeMin || number > realTimeMax) throw invalid();
  return number;
}
