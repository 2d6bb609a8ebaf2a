/**
 * The logger that every part takes as an argument. Messages are constant lower-case sentences; data goes into fields.
 * An error is logged once, where it is handled. Levels: error = an operator acts, warn = degraded, info = life cycle,
 * debug = decisions. The production adapter is `@boxship/base/pino`.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

/** A logger that drops everything: the default of embedded use. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
