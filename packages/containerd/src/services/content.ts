/** `containerd.services.content.v1.Content`: blobs and ingests of the caller's namespace. */
import type { ServiceHandlers, content as wire } from '@boxship/api';
import { parseFilters } from '@boxship/base';
import { type ContentInfo, type IngestStatus, ingestFields } from '@boxship/image-store';
import { parseDigest } from '@boxship/oci';
import type { ContentTable } from '../metadata/content.ts';
import { writeContent } from './content-write.ts';
import { inBlocks, labelFields, toWireTime } from './convert.ts';

// Go clients read manifests and configurations again and again and allocate by this chunk size
const chunkBytes = 32 * 1024;

export function contentService(options: {
  table: ContentTable;
  onDelete: (namespace: string, digest: string) => void;
}): ServiceHandlers<typeof wire.ContentService> {
  const { table } = options;
  return {
    async info({ digest }, context) {
      return { info: toWireInfo(await table.in(context.namespace).info(parseDigest(digest))) };
    },
    async update({ info, updateMask }, context) {
      const digest = parseDigest(info?.digest ?? '');
      const labels = info?.labels ?? {};
      const update = { digest, labels, ...labelFields(updateMask, `content info ${digest}`) };
      return { info: toWireInfo(await table.in(context.namespace).update(update)) };
    },
    async *list({ filters }, context) {
      const infos = table.in(context.namespace).walk(parseFilters(filters));
      for await (const block of inBlocks(infos)) yield { info: block.map(toWireInfo) };
    },
    async delete({ digest }, context) {
      await table.in(context.namespace).delete(parseDigest(digest));
      options.onDelete(context.namespace, digest);
      return {};
    },
    async *read({ digest, offset, size }, context) {
      const length = Number(size);
      let sent = 0;
      const range = { offset: Number(offset), ...(length > 0 ? { length } : {}), signal: context.signal };
      for await (const bytes of table.in(context.namespace).read({ digest: parseDigest(digest) }, range)) {
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          const data = Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(chunkBytes, bytes.length - at));
          yield { offset: BigInt(sent), data };
          sent += data.length;
        }
      }
    },
    async status({ ref }, context) {
      return { status: toWireStatus(await table.in(context.namespace).status(ref)) };
    },
    async listStatuses({ filters }, context) {
      const statuses: wire.Status[] = [];
      const matches = parseFilters(filters);
      for await (const status of table.in(context.namespace).statuses())
        if (matches(ingestFields(status))) statuses.push(toWireStatus(status));
      return { statuses };
    },
    write(requests, context) {
      return writeContent(table.in(context.namespace), requests, context);
    },
    async abort({ ref }, context) {
      await table.in(context.namespace).abort(ref);
      return {};
    },
  };
}

function toWireInfo(info: ContentInfo): wire.Info {
  return {
    digest: info.digest,
    size: BigInt(info.size),
    createdAt: toWireTime(info.createdAt),
    updatedAt: toWireTime(info.updatedAt),
    labels: { ...info.labels },
  };
}

function toWireStatus(status: IngestStatus): wire.Status {
  return {
    startedAt: toWireTime(status.startedAt),
    updatedAt: toWireTime(status.updatedAt),
    ref: status.ref,
    offset: BigInt(status.offset),
    total: BigInt(status.total),
    expected: status.expected ?? '',
  };
}
