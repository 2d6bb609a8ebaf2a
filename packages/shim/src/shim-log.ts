/**
 * The shim's log: lines of `key=value` as containerd's other parts write them, into the FIFO `log` of the directory the shim
 * was started in, which containerd reads. Never waits: what the FIFO does not take is dropped.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { type LogFields, type Logger, type LogLevel, silentLogger } from '@boxship/base';

export function openShimLog(path: string, level: LogLevel): Logger {
  let fd: number;
  try {
    // read-write: no wait for a reader, no SIGPIPE when it goes
    fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_APPEND);
  } catch {
    return silentLogger; // started by hand, without containerd
  }
  if (!fstatSync(fd).isFIFO() && !fstatSync(fd).isFile()) return silentLogger;
  return logger(fd, level === 'debug', {});
}

function logger(fd: number, isDebug: boolean, context: LogFields): Logger {
  const write = (level: string, message: string, fields: LogFields = {}) => {
    const pairs = Object.entries({ time: new Date().toISOString(), level, msg: message, ...context, ...fields });
    const line = pairs.map(([key, value]) => `${key}=${format(value)}`).join(' ');
    try {
      writeSync(fd, `${line}\n`);
    } catch {
      // EAGAIN: nobody reads
    }
  };
  return {
    debug: (message, fields) => (isDebug ? write('debug', message, fields) : undefined),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warning', message, fields),
    error: (message, fields) => write('error', message, fields),
    child: (fields) => logger(fd, isDebug, { ...context, ...fields }),
  };
}

function format(value: unknown): string {
  const text =
    value instanceof Error ? value.message : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text);
}
