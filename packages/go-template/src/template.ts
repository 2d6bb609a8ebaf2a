/** A parsed template, ready to run any number of times. */
import { type ExecuteOptions, execute } from './execute.ts';
import { functions } from './functions.ts';
import { parse } from './parser.ts';

export interface Template {
  /** The text for `data` (plain JSON values). @throws invalidArgument: `template: …: executing …` */
  execute(data: unknown, options?: ExecuteOptions): string;
}

/**
 * Parses Go's text/template with docker's functions.
 * @param name appears in messages; docker's commands use the empty name
 * @throws invalidArgument: `template: name:1: …`
 */
export function parseTemplate(source: string, name = ''): Template {
  const tree = parse(source, name, (word) => Object.hasOwn(functions, word));
  return { execute: (data, options) => execute(tree, name, data, options) };
}
