/** Tokens to tree. */
import type { Command, Node, Operand, Pipe, Position, Tree } from './ast.ts';
import { templateError } from './errors.ts';
import { type Token, tokenize } from './lexer.ts';

/** @throws invalidArgument in Go's words; `isFunction` tells which identifiers exist */
export function parse(source: string, name: string, isFunction: (name: string) => boolean): Tree {
  return new Parser(tokenize(source, name), name, isFunction).tree();
}

interface Block {
  readonly nodes: Node[];
  /** The keyword that ended the block, with what followed an `else`. */
  readonly endedBy: 'end' | 'else' | 'eof';
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #name: string;
  readonly #isFunction: (name: string) => boolean;
  readonly #templates = new Map<string, readonly Node[]>();
  readonly #variables: string[] = ['$'];
  #at = 0;
  #rangeDepth = 0;

  constructor(tokens: readonly Token[], name: string, isFunction: (name: string) => boolean) {
    this.#tokens = tokens;
    this.#name = name;
    this.#isFunction = isFunction;
  }

  tree(): Tree {
    const block = this.#block();
    if (block.endedBy !== 'eof') this.#fail(`unexpected {{${block.endedBy}}}`);
    return { body: block.nodes, templates: this.#templates };
  }

  #block(): Block {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === 'end') return { nodes, endedBy: 'eof' };
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text });
        continue;
      }
      this.#spaces();
      const keyword = this.#peek();
      if (keyword.kind === 'identifier') {
        if (keyword.text === 'end' || keyword.text === 'else') {
          this.#next();
          if (keyword.text === 'end') this.#close('end');
          return { nodes, endedBy: keyword.text };
        }
        const node = this.#keyword(keyword.text);
        if (node !== undefined) {
          if (node !== 'none') nodes.push(node);
          continue;
        }
      }
      const pipe = this.#pipe('command');
      this.#close('command');
      nodes.push({ kind: 'action', pipe });
    }
  }

  #keyword(word: string): Node | 'none' | undefined {
    switch (word) {
      case 'if':
      case 'with':
      case 'range':
        this.#next();
        return this.#control(word);
      case 'break':
      case 'continue':
        this.#next();
        this.#close(word);
        if (this.#rangeDepth === 0) this.#fail(`{{${word}}} outside {{range}}`);
        return { kind: word };
      case 'template': {
        const { at } = this.#next();
        const name = this.#templateName('template clause');
        this.#spaces();
        const pipe = this.#peek().kind === 'close' ? undefined : this.#pipe('template clause');
        this.#close('template clause');
        return { kind: 'template', name, pipe, at };
      }
      case 'define':
      case 'block': {
        const { at } = this.#next();
        const name = this.#templateName(`${word} clause`);
        const pipe = word === 'block' ? this.#pipe('block clause') : undefined;
        this.#close(`${word} clause`);
        const body = this.#block();
        if (body.endedBy !== 'end') this.#fail('unexpected EOF');
        this.#templates.set(name, body.nodes);
        return word === 'block' ? { kind: 'template', name, pipe, at } : 'none';
      }
      default:
        return undefined;
    }
  }

  #control(kind: 'if' | 'with' | 'range'): Node {
    const scope = this.#variables.length;
    const pipe = this.#pipe(kind);
    this.#close(kind);
    if (kind === 'range') this.#rangeDepth++;
    const body = this.#block();
    if (kind === 'range') this.#rangeDepth--;
    let otherwise: readonly Node[] = [];
    if (body.endedBy === 'eof') this.#fail('unexpected EOF');
    if (body.endedBy === 'else') {
      this.#spaces();
      const chained = this.#peek();
      if (chained.kind === 'identifier' && chained.text === kind && kind !== 'range') {
        this.#next();
        otherwise = [this.#control(kind)]; // {{else if}} shares the {{end}}
      } else {
        this.#close('else');
        const block = this.#block();
        if (block.endedBy !== 'end')
          this.#fail(block.endedBy === 'eof' ? 'unexpected EOF' : 'expected end; found {{else}}');
        otherwise = block.nodes;
      }
    }
    this.#variables.length = scope;
    return { kind, pipe, body: body.nodes, otherwise };
  }

  #templateName(context: string): string {
    this.#spaces();
    const token = this.#next();
    if (token.kind !== 'string') this.#fail(`unexpected ${describe(token)} in ${context}`, token.at);
    return unquote(token.text);
  }

  #pipe(context: string): Pipe {
    this.#spaces();
    const { at } = this.#peek();
    const { variables, isDeclaration } = this.#assignment();
    const commands: Command[] = [];
    for (;;) {
      const operands = this.#command(context);
      if (operands.length > 0) commands.push({ operands });
      const token = this.#peek();
      if (token.kind !== 'char' || token.text !== '|') break;
      if (operands.length === 0) this.#fail(`missing value for ${context}`, token.at);
      this.#next();
      if (!this.#hasOperand()) this.#fail(`missing value for ${context}`, token.at);
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`, at);
    if (isDeclaration) this.#variables.push(...variables);
    return { variables, isDeclaration, commands, at };
  }

  #assignment(): { variables: string[]; isDeclaration: boolean } {
    const start = this.#at;
    const variables: string[] = [];
    for (;;) {
      this.#spaces();
      const token = this.#next();
      if (token.kind !== 'variable') break;
      variables.push(token.text);
      this.#spaces();
      const next = this.#next();
      if (next.kind === 'char' && (next.text === ':=' || next.text === '='))
        return { variables, isDeclaration: next.text === ':=' };
      if (next.kind !== 'char' || next.text !== ',') break;
    }
    this.#at = start;
    return { variables: [], isDeclaration: false };
  }

  #hasOperand(): boolean {
    this.#spaces();
    const { kind, text } = this.#peek();
    return kind !== 'close' && kind !== 'end' && !(kind === 'char' && text !== '(');
  }

  #command(context: string): Operand[] {
    const operands: Operand[] = [];
    while (this.#hasOperand()) {
      operands.push(this.#operand(context));
      const { kind, text } = this.#peek();
      const isSeparated = kind === 'space' || kind === 'close' || (kind === 'char' && (text === '|' || text === ')'));
      if (!isSeparated) this.#fail(`unexpected ${describe(this.#peek())} in operand`);
    }
    return operands;
  }

  #operand(context: string): Operand {
    const token = this.#next();
    const { at } = token;
    switch (token.kind) {
      case 'string':
        return { kind: 'literal', value: unquote(token.text), source: token.text, at };
      case 'number':
        return { kind: 'literal', value: Number(token.text.replaceAll('_', '')), source: token.text, at };
      case 'dot':
        return { kind: 'dot', source: '.', at };
      case 'field': {
        // Go places a chain at its second name
        const chain = this.#peek().kind === 'field' ? this.#peek().at : at;
        const names = [token.text.slice(1), ...this.#fields()];
        return { kind: 'field', names, source: `.${names.join('.')}`, at: chain };
      }
      case 'variable': {
        if (!this.#variables.includes(token.text)) this.#fail(`undefined variable ${JSON.stringify(token.text)}`, at);
        const names = this.#fields();
        return { kind: 'variable', name: token.text, names, source: [token.text, ...names].join('.'), at };
      }
      case 'identifier':
        if (token.text === 'true' || token.text === 'false')
          return { kind: 'literal', value: token.text === 'true', source: token.text, at };
        if (token.text === 'nil') return { kind: 'literal', value: null, source: 'nil', at };
        if (!this.#isFunction(token.text)) this.#fail(`function ${JSON.stringify(token.text)} not defined`, at);
        return { kind: 'function', name: token.text, source: token.text, at };
      case 'char':
        if (token.text === '(') {
          const pipe = this.#pipe('parenthesized pipeline');
          this.#spaces();
          const close = this.#next();
          if (close.kind !== 'char' || close.text !== ')') this.#fail('unclosed left paren', at);
          return { kind: 'pipe', pipe, names: this.#fields(), source: '(...)', at };
        }
    }
    return this.#fail(`unexpected ${describe(token)} in ${context}`, at);
  }

  #fields(): string[] {
    const names: string[] = [];
    while (this.#peek().kind === 'field') names.push(this.#next().text.slice(1));
    return names;
  }

  #close(context: string): void {
    this.#spaces();
    const token = this.#next();
    if (token.kind === 'end') this.#fail('unclosed action', token.at);
    if (token.kind !== 'close') this.#fail(`unexpected ${describe(token)} in ${context}`, token.at);
  }

  #spaces(): void {
    while (this.#peek().kind === 'space') this.#at++;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? (this.#tokens.at(-1) as Token);
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #fail(what: string, at: Position = this.#peek().at): never {
    throw templateError(this.#name, at, what);
  }
}

function describe(token: Token): string {
  return token.kind === 'end' ? 'EOF' : `<${token.text}>`;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

function unquote(text: string): string {
  const body = text.slice(1, -1);
  if (text.startsWith('`')) return body;
  return body.replace(/\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)/g, (_, code: string) =>
    /^[ux]./.test(code) ? String.fromCodePoint(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? code),
  );
}
