/** `logs`: what a container has written, and with `-f` what it writes. */

import { parseDurationNs } from '@boxship/base';
import { FrameDecoder } from '@boxship/engine-api';
import { defineCommand } from '../../command.ts';
import { flag } from '../../pflag/flags.ts';
import { write } from '../../stream/hijacked-io.ts';

export default defineCommand({
  usage: 'logs [OPTIONS] CONTAINER',
  short: 'Fetch the logs of a container',
  aliases: ['container logs', 'logs'],
  flags: {
    details: flag.bool({ help: 'Show extra details provided to logs' }),
    follow: flag.bool({ short: 'f', help: 'Follow log output' }),
    since: flag.string({
      help: 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    }),
    tail: flag.string({ short: 'n', initial: 'all', help: 'Number of lines to show from the end of the logs' }),
    timestamps: flag.bool({ short: 't', help: 'Show timestamps' }),
    until: flag.string({
      help: 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    }),
  },
  operands: { min: 1, max: 1 },
  async run(context, values, [name = '']) {
    const { containers } = context.client;
    const { Config, Id } = await containers.inspect(name);
    const { details, follow, tail, timestamps } = values;
    const [since, until] = [toTimestamp(values.since), toTimestamp(values.until)];
    const times = { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { until }) };
    const body = await containers.logs(Id, { stdout: true, stderr: true, details, follow, tail, timestamps, ...times });
    const decoder = new FrameDecoder();
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (Config.Tty) await write(context.stdout, chunk);
      else
        for (const { stream, payload } of decoder.push(chunk))
          await write(stream === 2 ? context.stderr : context.stdout, payload);
    }
    return 0;
  },
});

/** Relative times are made absolute by the client, in seconds, as docker does. */
export function toTimestamp(text: string): string | undefined {
  if (text === '') return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  if (/^[\d.]+(ns|us|µs|ms|s|m|h)/.test(text)) return String((Date.now() - parseDurationNs(text) / 1e6) / 1000);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : String(ms / 1000);
}
