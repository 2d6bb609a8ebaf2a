/** The production logger: JSON lines through pino, written synchronously so that a killed process loses no line. */
import { type BaseLogger, pino } from 'pino';
import type { LogFields, Logger, LogLevel } from './log.ts';

type Sink = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'> & { child(fields: LogFields): Sink };

/** A logger writing to `fd` (default: standard error). */
export function createLogger(options: { name: string; level?: LogLevel; fd?: number }): Logger {
  const destination = pino.destination({ dest: options.fd ?? 2, sync: true });
  const sink = pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      serializers: { error: pino.stdSerializers.err },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination,
  );
  return adapt(sink as unknown as Sink);
}

function adapt(sink: Sink): Logger {
  return {
    debug: (message: string, fields?: LogFields) => sink.debug(fields ?? {}, message),
    info: (message: string, fields?: LogFields) => sink.info(fields ?? {}, message),
    warn: (message: string, fields?: LogFields) => sink.warn(fields ?? {}, message),
    error: (message: string, fields?: LogFields) => sink.error(fields ?? {}, message),
    child: (fields: LogFields) => adapt(sink.child(fields)),
  };
}
