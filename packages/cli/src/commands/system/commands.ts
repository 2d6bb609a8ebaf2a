/** The daemon as a whole: version, info, events. */
import { BoxshipError, messageOf } from '@boxship/base';
import { maxApiVersion } from '@boxship/engine-api';
import { parseTemplate } from '@boxship/go-template';
import { defineCommand } from '../../command.ts';
import { parseFilterFlags } from '../../options/filters.ts';
import { flag } from '../../pflag/flags.ts';
import { clientVersion } from '../../version.ts';
import { toTimestamp } from '../container/logs.ts';
import { infoText } from './info-text.ts';

function render(format: string, data: unknown): string {
  if (format === 'json' || format === '{{json .}}') return JSON.stringify(data);
  try {
    return parseTemplate(format).execute(data, { missing: 'error' });
  } catch (error) {
    throw new BoxshipError('invalidArgument', `template parsing error: ${messageOf(error)}`, { cause: error });
  }
}

export const version = defineCommand({
  usage: 'version [OPTIONS]',
  short: 'Show the version information',
  flags: { format: flag.string({ short: 'f', help: 'Format output using a custom template' }) },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    const client = {
      Platform: { Name: 'boxship' },
      Version: clientVersion,
      ApiVersion: maxApiVersion,
      DefaultAPIVersion: maxApiVersion,
      NodeVersion: process.versions.node,
      Os: process.platform,
      Arch: process.arch === 'x64' ? 'amd64' : process.arch,
      Context: 'default',
    };
    let failure: unknown;
    const server = await context.client.system.version().catch((error: unknown) => {
      failure = error;
      return undefined;
    });
    if (values.format !== '') context.print(render(values.format, { Client: client, Server: server ?? null }));
    else {
      const lines = [
        'Client:',
        ` Version:           ${client.Version}`,
        ` API version:       ${client.ApiVersion}`,
        ` Node version:      ${client.NodeVersion}`,
        ` OS/Arch:           ${client.Os}/${client.Arch}`,
      ];
      if (server !== undefined) {
        lines.push('', `Server: ${server.Platform?.Name ?? ''}`);
        for (const component of server.Components ?? []) {
          lines.push(` ${component.Name}:`, `  Version:          ${component.Version}`);
          const details = component.Details ?? {};
          if (details['ApiVersion'] !== undefined)
            lines.push(`  API version:      ${details['ApiVersion']} (minimum version ${details['MinAPIVersion']})`);
          if (details['GitCommit']) lines.push(`  Git commit:       ${details['GitCommit']}`);
          if (details['Os'] !== undefined) lines.push(`  OS/Arch:          ${details['Os']}/${details['Arch']}`);
        }
      }
      context.print(lines.join('\n'));
    }
    if (failure !== undefined) throw failure;
    return 0;
  },
});

export const info = defineCommand({
  usage: 'info [OPTIONS]',
  short: 'Display system-wide information',
  aliases: ['system info', 'info'],
  flags: { format: flag.string({ short: 'f', help: 'Format output using a custom template' }) },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    const facts = await context.client.system.info();
    context.print(values.format === '' ? infoText(facts) : render(values.format, facts));
    for (const warning of values.format === '' ? (facts.Warnings ?? []) : []) context.warn(warning);
    return 0;
  },
});

export const events = defineCommand({
  usage: 'events [OPTIONS]',
  short: 'Get real time events from the server',
  aliases: ['system events', 'events'],
  flags: {
    filter: flag.list({ short: 'f', help: 'Filter output based on conditions provided' }),
    format: flag.string({ help: 'Format output using a custom template' }),
    since: flag.string({ help: 'Show all events created since timestamp' }),
    until: flag.string({ help: 'Stream events until this timestamp' }),
  },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    const [since, until] = [toTimestamp(values.since), toTimestamp(values.until)];
    const stream = context.client.system.events({
      filters: parseFilterFlags(values.filter),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    });
    for await (const event of stream) {
      if (values.format !== '') {
        context.print(render(values.format, event));
        continue;
      }
      const time = new Date(event.time * 1000).toISOString().slice(0, 19);
      const fraction = String(event.timeNano % 1e9).padStart(9, '0');
      const attributes = Object.entries(event.Actor.Attributes)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${value}`);
      const suffix = attributes.length === 0 ? '' : ` (${attributes.join(', ')})`;
      context.print(`${time}.${fraction}Z ${event.Type} ${event.Action} ${event.Actor.ID}${suffix}`);
    }
    return 0;
  },
});
