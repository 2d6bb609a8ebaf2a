export { socketDirectory, socketPath } from './address.ts';
export { AttachServer } from './io/attach-server.ts';
export { type LogFormat, type LogPiece, MAX_LINE_BYTES, type StreamName } from './log/format.ts';
export { JsonFormat, rfc3339Nano } from './log/json-format.ts';
export { LocalFormat } from './log/local-format.ts';
export { LogFile, type LogFileOptions } from './log/log-file.ts';
export { LogWriter, type OnIntent, type WriteIntent } from './log/log-writer.ts';
export { LOGGER_NAME, type LogDriver, type LoggerOptions, parseLoggerOptions } from './log/logging-uri.ts';
export { openLog } from './log/open-log.ts';
