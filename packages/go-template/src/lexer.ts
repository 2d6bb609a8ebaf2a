/** Cuts a template into text and the tokens inside `{{ }}`. Trim markers (`{{- -}}`) are applied to the text here. */
import type { Position } from './ast.ts';
import { templateError } from './errors.ts';

export type TokenKind =
  | 'text'
  | 'open'
  | 'close'
  | 'string'
  | 'number'
  | 'field' // .Name
  | 'dot'
  | 'variable' // $x
  | 'identifier'
  | 'char'
  | 'space'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly at: Position;
}

const patterns: readonly (readonly [TokenKind, RegExp])[] = [
  ['space', /^[ \t\r\n]+/],
  ['string', /^"(?:[^"\\\n]|\\.)*"/],
  ['string', /^`[^`]*`/],
  ['string', /^'(?:[^'\\\n]|\\.)'/],
  [
    'number',
    /^[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)/,
  ],
  ['field', /^\.[\p{L}_][\p{L}\p{N}_]*/u],
  ['dot', /^\./],
  ['variable', /^\$[\p{L}\p{N}_]*/u],
  ['identifier', /^[\p{L}_][\p{L}\p{N}_]*/u],
  ['char', /^(?::=|=|\||\(|\)|,)/],
];

export function tokenize(source: string, name: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  const position = (offset: number): Position => {
    const before = source.slice(0, offset);
    const lastBreak = before.lastIndexOf('\n');
    return { line: before.split('\n').length, column: offset - lastBreak - 1 };
  };
  for (;;) {
    const open = source.indexOf('{{', at);
    let text = source.slice(at, open < 0 ? source.length : open);
    if (trimNext) text = text.replace(/^[ \t\r\n]+/, '');
    const trimsBefore = open >= 0 && /^-[ \t\r\n]/.test(source.slice(open + 2, open + 4));
    if (trimsBefore) text = text.replace(/[ \t\r\n]+$/, '');
    if (text !== '') tokens.push({ kind: 'text', text, at: position(at) });
    if (open < 0) break;
    at = open + 2 + (trimsBefore ? 2 : 0);
    const comment = /^\/\*[\s\S]*?\*\/(?: -)?\}\}/.exec(source.slice(at));
    if (comment !== null) {
      at += comment[0].length;
      trimNext = comment[0].endsWith('-}}');
      continue;
    }
    if (source.startsWith('/*', at)) throw templateError(name, position(open), 'unclosed comment');
    tokens.push({ kind: 'open', text: '{{', at: position(open) });
    for (;;) {
      const rest = source.slice(at);
      const close = /^(?:[ \t\r\n]-)?\}\}/.exec(rest);
      if (close !== null) {
        trimNext = close[0].length > 2;
        tokens.push({ kind: 'close', text: '}}', at: position(at) });
        at += close[0].length;
        break;
      }
      if (rest === '') throw templateError(name, position(open), 'unclosed action');
      const token = match(rest);
      if (token === undefined) {
        if (rest.startsWith('"')) throw templateError(name, position(at), 'unterminated quoted string');
        if (rest.startsWith('\n')) throw templateError(name, position(at), 'unclosed action');
        throw templateError(name, position(at), `unexpected ${JSON.stringify(rest[0])} in command`);
      }
      tokens.push({ ...token, at: position(at) });
      at += token.text.length;
    }
  }
  tokens.push({ kind: 'end', text: '', at: position(source.length) });
  return tokens;
}

function match(rest: string): { kind: TokenKind; text: string } | undefined {
  for (const [kind, pattern] of patterns) {
    const found = pattern.exec(rest);
    if (found !== null) return { kind, text: found[0] };
  }
  return undefined;
}
