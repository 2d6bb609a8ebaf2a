/** `images`: images in a table, one row per tag. */
import { formatSize } from '@boxship/base';
import type { ImageSummary } from '@boxship/engine-api';
import { defineCommand } from '../../command.ts';
import { configFile } from '../../config-file.ts';
import { formatList, type ListFormat, type Row } from '../../format/formatter.ts';
import { ago, goTime, shortDigest } from '../../format/humanize.ts';
import { parseFilterFlags } from '../../options/filters.ts';
import { splitReference } from '../../options/reference.ts';
import { flag } from '../../pflag/flags.ts';

const format: ListFormat = {
  table: '{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}',
  typeName: '*formatter.imageContext',
  quiet: 'ID',
  titles: {
    ID: 'IMAGE ID',
    Repository: 'REPOSITORY',
    Tag: 'TAG',
    Digest: 'DIGEST',
    CreatedSince: 'CREATED',
    CreatedAt: 'CREATED AT',
    Size: 'SIZE',
    Containers: 'CONTAINERS',
    VirtualSize: 'SIZE',
    SharedSize: 'SHARED SIZE',
    UniqueSize: 'UNIQUE SIZE',
  },
};

export default defineCommand({
  usage: 'images [OPTIONS] [REPOSITORY[:TAG]]',
  short: 'List images',
  aliases: ['image ls', 'image list', 'images'],
  flags: {
    all: flag.bool({ short: 'a', help: 'Show all images (default hides intermediate images)' }),
    digests: flag.bool({ help: 'Show digests' }),
    filter: flag.list({ short: 'f', help: 'Filter output based on conditions provided' }),
    format: flag.string({ help: 'Format output using a custom template' }),
    'no-trunc': flag.bool({ help: "Don't truncate output" }),
    quiet: flag.bool({ short: 'q', help: 'Only show image IDs' }),
  },
  operands: { min: 0, max: 1 },
  async run(context, values, [reference]) {
    const filters = parseFilterFlags([
      ...values.filter,
      ...(reference === undefined ? [] : [`reference=${reference}`]),
    ]);
    const images = await context.client.images.list({ all: values.all, filters });
    const rows = images.flatMap((image) => toRows(image, !values['no-trunc'], values.digests));
    const table = values.digests
      ? { ...format, table: format.table.replace('{{.Tag}}', '{{.Tag}}\t{{.Digest}}') }
      : format;
    const wanted = values.format || (configFile().imagesFormat ?? '');
    context.stdout.write(formatList(table, { format: wanted, isQuiet: values.quiet }, rows));
    return 0;
  },
});

function toRows(image: ImageSummary, isTruncated: boolean, showsDigests: boolean): Row[] {
  const tags = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>');
  const digests = (image.RepoDigests ?? []).filter((digest) => digest !== '<none>@<none>');
  const row = (Repository: string, Tag: string, Digest: string): Row => ({
    ID: isTruncated ? shortDigest(image.Id) : image.Id,
    Repository,
    Tag,
    Digest,
    CreatedSince: ago(image.Created),
    CreatedAt: goTime(image.Created),
    Size: formatSize(image.Size, 3),
    VirtualSize: formatSize(image.Size, 3),
    Containers: image.Containers < 0 ? 'N/A' : String(image.Containers),
    SharedSize: image.SharedSize < 0 ? 'N/A' : formatSize(image.SharedSize, 3),
    UniqueSize: image.SharedSize < 0 ? 'N/A' : formatSize(image.Size - image.SharedSize, 3),
  });
  const digestOf = (name: string) => digests.find((digest) => digest.startsWith(`${name}@`))?.split('@')[1] ?? '<none>';
  if (tags.length > 0)
    return tags.map((tag) => {
      const { name, tag: short = '<none>' } = splitReference(tag);
      return row(name, short, showsDigests ? digestOf(name) : '<none>');
    });
  const [digest] = digests;
  return [
    digest === undefined
      ? row('<none>', '<none>', '<none>')
      : row(digest.split('@')[0] ?? '', '<none>', digest.split('@')[1] ?? ''),
  ];
}
