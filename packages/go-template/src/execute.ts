/** Runs a tree over data. */
import type { Node, Operand, Pipe, Position, Tree } from './ast.ts';
import { executionError } from './errors.ts';
import { functions, type TemplateFunction } from './functions.ts';
import { isTrue, show } from './value.ts';

export interface ExecuteOptions {
  /**
   * What a field that is not there means: `error` text of Go for a map with `missingkey=error`, or the type named here for a
   * struct (`can't evaluate field X in type T`); absent: `<no value>`.
   */
  readonly missing?: 'error' | { readonly typeName: string };
  /** Replaces predefined functions: the header of a table turns them into identities. */
  readonly functions?: Readonly<Record<string, TemplateFunction>>;
}

class Break {}
class Continue {}

interface Variable {
  readonly name: string;
  value: unknown;
}

const nothing = Symbol('no piped value');

/** @throws invalidArgument in Go's words */
export function execute(tree: Tree, name: string, data: unknown, options: ExecuteOptions = {}): string {
  return new Execution(tree, name, options).run(data);
}

class Execution {
  readonly #tree: Tree;
  readonly #name: string;
  readonly #options: ExecuteOptions;
  #variables: Variable[] = [];
  #out = '';
  #depth = 0;

  constructor(tree: Tree, name: string, options: ExecuteOptions) {
    this.#tree = tree;
    this.#name = name;
    this.#options = options;
  }

  run(data: unknown): string {
    this.#variables = [{ name: '$', value: data }];
    this.#nodes(this.#tree.body, data);
    return this.#out;
  }

  #nodes(nodes: readonly Node[], dot: unknown): void {
    const scope = this.#variables.length;
    try {
      for (const node of nodes) this.#node(node, dot);
    } finally {
      this.#variables.length = scope;
    }
  }

  #node(node: Node, dot: unknown): void {
    switch (node.kind) {
      case 'text':
        this.#out += node.text;
        return;
      case 'action': {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.variables.length === 0) this.#out += show(value);
        return;
      }
      case 'if':
      case 'with': {
        const scope = this.#variables.length;
        const value = this.#pipe(node.pipe, dot);
        if (isTrue(value)) this.#nodes(node.body, node.kind === 'with' ? value : dot);
        else this.#nodes(node.otherwise, dot);
        this.#variables.length = scope;
        return;
      }
      case 'range':
        this.#range(node, dot);
        return;
      case 'template': {
        const body = this.#tree.templates.get(node.name);
        if (body === undefined)
          throw executionError(
            this.#name,
            node.at,
            `{{template ${JSON.stringify(node.name)}}}`,
            `template ${JSON.stringify(node.name)} not defined`,
          );
        if (++this.#depth > 1000)
          throw executionError(this.#name, node.at, node.name, 'exceeded maximum template depth (1000)');
        const inner = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
        const outer = this.#variables;
        this.#variables = [{ name: '$', value: inner }];
        this.#nodes(body, inner);
        this.#variables = outer;
        this.#depth--;
        return;
      }
      case 'break':
        throw new Break();
      case 'continue':
        throw new Continue();
    }
  }

  #range(node: Node & { kind: 'if' | 'with' | 'range' }, dot: unknown): void {
    const scope = this.#variables.length;
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot);
    const entries = this.#entries(value, node.pipe.at);
    const { variables } = node.pipe;
    try {
      for (const [key, item] of entries) {
        this.#variables.length = scope;
        if (variables.length === 1) this.#variables.push({ name: variables[0] ?? '', value: item });
        if (variables.length === 2)
          this.#variables.push({ name: variables[0] ?? '', value: key }, { name: variables[1] ?? '', value: item });
        try {
          this.#nodes(node.body, item);
        } catch (thrown) {
          if (!(thrown instanceof Continue)) throw thrown;
        }
      }
    } catch (thrown) {
      if (!(thrown instanceof Break)) throw thrown;
    }
    this.#variables.length = scope;
    if (entries.length === 0) this.#nodes(node.otherwise, dot);
  }

  #entries(value: unknown, at: Position): [unknown, unknown][] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item, position): [unknown, unknown] => [position, item]);
    if (typeof value === 'number') return Array.from({ length: value }, (_, i): [unknown, unknown] => [i, i]);
    // maps are visited in the order of their keys
    if (typeof value === 'object') return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    throw executionError(this.#name, at, show(value), `range can't iterate over ${show(value)}`);
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    let value: unknown = nothing;
    for (const command of pipe.commands) value = this.#command(command.operands, dot, value);
    for (const name of pipe.variables) {
      if (pipe.isDeclaration) this.#variables.push({ name, value });
      else {
        const variable = this.#variables.findLast((candidate) => candidate.name === name);
        if (variable !== undefined) variable.value = value;
      }
    }
    return value;
  }

  #command(operands: readonly Operand[], dot: unknown, piped: unknown): unknown {
    const [first, ...rest] = operands as [Operand, ...Operand[]];
    if (first.kind === 'function') {
      const args = rest.map((operand) => this.#operand(operand, dot));
      if (piped !== nothing) args.push(piped);
      return this.#call(first, args);
    }
    const value = this.#operand(first, dot);
    if (rest.length === 0 && piped === nothing) return value;
    if (typeof value === 'function') {
      const args = rest.map((operand) => this.#operand(operand, dot));
      return (value as TemplateFunction)(...args, ...(piped === nothing ? [] : [piped]));
    }
    const what =
      first.kind === 'literal' || first.kind === 'dot'
        ? `can't give argument to non-function ${first.source}`
        : `${first.source.replace(/^.*\./, '')} has arguments but cannot be invoked as function`;
    throw executionError(this.#name, first.at, first.source, what);
  }

  #call(operand: Operand & { kind: 'function' }, args: readonly unknown[]): unknown {
    const implementation = this.#options.functions?.[operand.name] ?? functions[operand.name];
    try {
      return implementation?.(...args);
    } catch (error) {
      throw executionError(
        this.#name,
        operand.at,
        [operand.name, ...args.map(show)].join(' '),
        `error calling ${operand.name}: ${(error as Error).message}`,
      );
    }
  }

  #operand(operand: Operand, dot: unknown): unknown {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'dot':
        return dot;
      case 'field':
        return this.#fields(dot, operand.names, operand);
      case 'variable': {
        const variable = this.#variables.findLast((candidate) => candidate.name === operand.name);
        return this.#fields(variable?.value, operand.names, operand);
      }
      case 'function':
        return this.#call(operand, []);
      case 'pipe':
        return this.#fields(this.#pipe(operand.pipe, dot), operand.names, operand);
    }
  }

  #fields(start: unknown, names: readonly string[], operand: Operand): unknown {
    let value = start;
    for (const name of names) {
      if (value === undefined || value === null) {
        if (this.#options.missing === undefined) return undefined;
        throw executionError(this.#name, operand.at, operand.source, `nil pointer evaluating interface {}.${name}`);
      }
      if (typeof value !== 'object' || Array.isArray(value))
        throw executionError(
          this.#name,
          operand.at,
          operand.source,
          `can't evaluate field ${name} in type ${Array.isArray(value) ? '[]interface {}' : typeof value}`,
        );
      if (!Object.hasOwn(value, name)) {
        const { missing } = this.#options;
        if (missing === undefined) return undefined;
        const what =
          missing === 'error'
            ? `map has no entry for key ${JSON.stringify(name)}`
            : `can't evaluate field ${name} in type ${missing.typeName}`;
        throw executionError(this.#name, operand.at, operand.source, what);
      }
      value = (value as Record<string, unknown>)[name];
    }
    return value;
  }
}
