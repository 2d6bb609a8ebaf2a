/** The field paths by which filters see a snapshot: the same in every driver. */
import type { FieldLookup } from '@boxship/base';
import type { SnapshotInfo } from './snapshotter.ts';

export function snapshotFields(info: SnapshotInfo): FieldLookup {
  return ([field, ...rest]) => {
    if (field === 'kind') return info.kind;
    if (field === 'name') return info.name;
    if (field === 'parent') return info.parent;
    return field === 'labels' ? info.labels[rest.join('.')] : undefined;
  };
}
