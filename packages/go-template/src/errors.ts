/** Failures in the words of Go's text/template, which docker prints as they are. */
import { BoxshipError } from '@boxship/base';
import type { Position } from './ast.ts';

/** A failure of parsing: `template: name:1: unclosed action`. */
export function templateError(name: string, at: Position, what: string): BoxshipError {
  return new BoxshipError('invalidArgument', `template: ${name}:${at.line}: ${what}`);
}

/** A failure while executing: `template: name:1:2: executing "name" at <.Foo>: …`. */
export function executionError(name: string, at: Position, source: string, what: string): BoxshipError {
  return new BoxshipError(
    'invalidArgument',
    `template: ${name}:${at.line}:${at.column}: executing ${JSON.stringify(name)} at <${source}>: ${what}`,
  );
}
