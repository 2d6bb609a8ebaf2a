/** Output of the inspect commands: an indented array, or a template over each object. */
import { BoxshipError, messageOf } from '@boxship/base';
import { parseTemplate } from '@boxship/go-template';
import type { CommandContext } from '../command.ts';

/** Looks every name up; what is found is printed even when others are missing. @returns the exit code */
export async function inspectAll(
  context: CommandContext,
  names: readonly string[],
  format: string,
  lookup: (name: string) => Promise<unknown>,
): Promise<number> {
  const found: unknown[] = [];
  const failures: string[] = [];
  for (const name of names) {
    try {
      found.push(await lookup(name));
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  if (format === '') context.print(found.length === 0 ? '[]' : JSON.stringify(found, null, 4));
  else if (format === 'json') context.print(JSON.stringify(found));
  else printTemplate(context, format, found);
  for (const failure of failures) context.warn(failure);
  return failures.length === 0 ? 0 : 1;
}

function printTemplate(context: CommandContext, format: string, objects: readonly unknown[]): void {
  const fail = (error: unknown): never => {
    throw new BoxshipError('invalidArgument', `template parsing error: ${messageOf(error)}`, { cause: error });
  };
  const template = parsed(format, fail);
  if (objects.length === 0) context.print('');
  for (const object of objects) {
    try {
      context.print(template.execute(object, { missing: 'error' }));
    } catch (error) {
      context.print('');
      fail(error);
    }
  }
}

function parsed(format: string, fail: (error: unknown) => never): ReturnType<typeof parseTemplate> {
  try {
    return parseTemplate(format);
  } catch (error) {
    return fail(error);
  }
}
