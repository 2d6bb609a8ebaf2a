/** The field paths by which filters see content and ingests: the same in every driver. */
import type { FieldLookup } from '@boxship/base';
import type { ContentInfo, IngestStatus } from './store.ts';

export function contentFields(info: ContentInfo): FieldLookup {
  return ([field, ...rest]) => {
    if (field === 'digest') return info.digest;
    if (field === 'size') return String(info.size);
    return field === 'labels' ? info.labels[rest.join('.')] : undefined;
  };
}

export function ingestFields(status: IngestStatus): FieldLookup {
  return ([field]) => (field === 'ref' ? status.ref : undefined);
}
