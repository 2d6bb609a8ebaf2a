/**
 * `--format` of lists: `table`, `table TEMPLATE`, `json`, `TEMPLATE`, or a word of the command (`raw` is not one). Rows are
 * records of text; the header of a table template comes from running the template over the column titles.
 */
import { BoxshipError, messageOf } from '@boxship/base';
import { parseTemplate, type Template, type TemplateFunction } from '@boxship/go-template';
import { layout } from './table.ts';

export type Row = Readonly<Record<string, string | null>>;

export interface ListFormat {
  /** Template behind `table`: `{{.ID}}\t{{.Name}}`. */
  readonly table: string;
  /** Column → title. */
  readonly titles: Readonly<Record<string, string>>;
  /** Go's name of the row type, as error messages show it. */
  readonly typeName: string;
  /** Column printed alone by `--quiet`. */
  readonly quiet: string;
}

const identity: TemplateFunction = (value) => value;
const headerFunctions = Object.fromEntries(
  ['json', 'split', 'join', 'title', 'lower', 'upper', 'pad', 'truncate'].map((name) => [name, identity]),
);

/** The text to print. @throws invalidArgument: `failed to parse template: …` */
export function formatList(
  format: ListFormat,
  options: { format: string; isQuiet: boolean },
  rows: readonly Row[],
): string {
  const wanted = options.format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  if (options.isQuiet && (wanted === '' || wanted === 'table'))
    return rows.map((row) => `${row[format.quiet] ?? ''}\n`).join('');
  if (wanted === 'json' || wanted === '{{json .}}')
    return rows.map((row) => `${JSON.stringify(sorted(row))}\n`).join('');
  const isTable = wanted === '' || wanted === 'table' || wanted.startsWith('table ');
  const source = wanted === '' || wanted === 'table' ? format.table : isTable ? wanted.slice('table '.length) : wanted;
  const template = parse(source);
  const lines = rows.map((row) => run(template, row, format));
  if (!isTable) return lines.map((line) => `${line}\n`).join('');
  const header = template.execute(format.titles, {
    missing: { typeName: format.typeName },
    functions: headerFunctions,
  });
  return layout([header, ...lines].map((line) => line.split('\t')));
}

function parse(source: string): Template {
  try {
    return parseTemplate(source);
  } catch (error) {
    throw new BoxshipError('invalidArgument', `failed to parse template: ${messageOf(error)}`, { cause: error });
  }
}

function run(template: Template, row: Row, format: ListFormat): string {
  try {
    return template.execute(row, { missing: { typeName: format.typeName } });
  } catch (error) {
    throw new BoxshipError('invalidArgument', `failed to execute template: ${messageOf(error)}`, { cause: error });
  }
}

const sorted = (row: Row): Row => Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
