/** Verbs over images that are one request each. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { formatSize } from '@boxship/base';
import { jsonLines, type ProgressMessage } from '@boxship/engine-api';
import { defineCommand } from '../../command.ts';
import { credentialsFor } from '../../config-file.ts';
import { formatList, type ListFormat } from '../../format/formatter.ts';
import { ago, ellipsis, goTime, shortDigest } from '../../format/humanize.ts';
import { splitReference } from '../../options/reference.ts';
import { flag } from '../../pflag/flags.ts';
import { showProgress } from '../../progress/pull.ts';
import { eachOperand } from '../each-operand.ts';

export const pull = defineCommand({
  usage: 'pull [OPTIONS] NAME[:TAG|@DIGEST]',
  short: 'Download an image from a registry',
  flags: {
    'all-tags': flag.bool({ short: 'a', help: 'Download all tagged images in the repository' }),
    platform: flag.string({ help: 'Set platform if server is multi-platform capable' }),
    quiet: flag.bool({ short: 'q', help: 'Suppress verbose output' }),
  },
  operands: { min: 1, max: 1 },
  async run(context, values, [reference = '']) {
    const { name, tag, shown } = splitReference(reference);
    if (tag === undefined && !values['all-tags'] && !values.quiet) context.print('Using default tag: latest');
    const auth = credentialsFor(name);
    const query = {
      fromImage: name,
      platform: values.platform || undefined,
      ...(values['all-tags'] ? {} : { tag: tag ?? 'latest' }),
    };
    const messages = context.client.images.pull(query, auth === undefined ? {} : { auth });
    if (values.quiet) {
      const silent = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
      await showProgress(messages, silent);
    } else await showProgress(messages, context.stdout);
    context.print(
      /^[^/]*[.:][^/]*\/|^localhost\//.test(shown)
        ? shown
        : `docker.io/${shown.includes('/') ? '' : 'library/'}${shown}`,
    );
    return 0;
  },
});

export const tag = defineCommand({
  usage: 'tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  short: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  flags: {},
  operands: { min: 2, max: 2 },
  async run(context, _values, [source = '', target = '']) {
    const { name, tag: wanted = 'latest' } = splitReference(target);
    await context.client.images.tag(source, { repo: name, tag: wanted });
    return 0;
  },
});

export const rmi = defineCommand({
  usage: 'rmi [OPTIONS] IMAGE [IMAGE...]',
  short: 'Remove one or more images',
  aliases: ['image rm', 'image remove', 'rmi'],
  flags: {
    force: flag.bool({ short: 'f', help: 'Force removal of the image' }),
    'no-prune': flag.bool({ help: 'Do not delete untagged parents' }),
  },
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, values, operands) {
    const code = await eachOperand(context, operands, async (name) => {
      const items = await context.client.images.remove(name, { force: values.force, noprune: values['no-prune'] });
      for (const item of items)
        context.print('Deleted' in item ? `Deleted: ${item.Deleted}` : `Untagged: ${item.Untagged}`);
      return undefined;
    });
    return values.force ? 0 : code;
  },
});

export const importImage = defineCommand({
  usage: 'import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  short: 'Import the contents from a tarball to create a filesystem image',
  flags: {
    change: flag.list({ short: 'c', help: 'Apply Dockerfile instruction to the created image' }),
    message: flag.string({ short: 'm', help: 'Set commit message for imported image' }),
    platform: flag.string({ help: 'Set platform if server is multi-platform capable' }),
  },
  operands: { min: 1, max: 2 },
  async run(context, values, [source = '', reference]) {
    const isUrl = /^https?:\/\//.test(source);
    const { name = '', tag: wanted = '' } = reference === undefined ? {} : splitReference(reference);
    const query = {
      fromSrc: isUrl ? source : '-',
      repo: name,
      tag: wanted,
      message: values.message,
      changes: [...values.change],
      platform: values.platform || undefined,
    };
    const body = isUrl ? Readable.from([]) : source === '-' ? context.stdin : createReadStream(source);
    const answer = await context.client.transport.send('POST', '/images/create', { query, body });
    await showProgress(jsonLines<ProgressMessage>(answer), context.stdout);
    return 0;
  },
});

const historyFormat: ListFormat = {
  table: '{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}',
  typeName: '*formatter.historyContext',
  quiet: 'ID',
  titles: {
    ID: 'IMAGE',
    CreatedSince: 'CREATED',
    CreatedAt: 'CREATED AT',
    CreatedBy: 'CREATED BY',
    Size: 'SIZE',
    Comment: 'COMMENT',
  },
};

export const history = defineCommand({
  usage: 'history [OPTIONS] IMAGE',
  short: 'Show the history of an image',
  flags: {
    format: flag.string({ help: 'Format output using a custom template' }),
    human: flag.bool({ short: 'H', initial: true, help: 'Print sizes and dates in human readable format' }),
    'no-trunc': flag.bool({ help: "Don't truncate output" }),
    quiet: flag.bool({ short: 'q', help: 'Only show image IDs' }),
  },
  operands: { min: 1, max: 1 },
  async run(context, values, [name = '']) {
    const isTruncated = !values['no-trunc'];
    const rows = (await context.client.images.history(name)).map((item) => ({
      ID: isTruncated ? shortDigest(item.Id) : item.Id,
      CreatedSince: values.human ? ago(item.Created) : goTime(item.Created),
      CreatedAt: goTime(item.Created),
      CreatedBy: isTruncated ? ellipsis(item.CreatedBy.replaceAll('\t', ' '), 45) : item.CreatedBy,
      Size: values.human ? formatSize(item.Size, 3) : String(item.Size),
      Comment: item.Comment,
    }));
    context.stdout.write(formatList(historyFormat, { format: values.format, isQuiet: values.quiet }, rows));
    return 0;
  },
});
