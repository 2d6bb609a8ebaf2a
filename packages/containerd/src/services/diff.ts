/** `containerd.services.diff.v1.Diff`: the only place where layer bytes larger than a message are worked on, server side. */
import type { CallContext, ServiceHandlers, diff as wire } from '@boxship/api';
import type { Applier, Comparer } from '@boxship/image-store';
import { fromWireDescriptor, fromWireMount, toWireDescriptor } from './convert.ts';

/** The differ of a namespace: it reads and writes content as that namespace sees it. */
export interface Differ {
  applier(namespace: string): Applier;
  comparer(namespace: string): Comparer;
}

export function diffService(differ: Differ): ServiceHandlers<typeof wire.DiffService> {
  return {
    async apply({ diff, mounts }, context) {
      const applied = await differ
        .applier(context.namespace)
        .apply(fromWireDescriptor(diff), mounts.map(fromWireMount), { signal: context.signal });
      return { applied: toWireDescriptor(applied) };
    },
    async diff({ left, right, mediaType, ref, labels }, context) {
      const layer = await differ
        .comparer(context.namespace)
        .compare(left.map(fromWireMount), right.map(fromWireMount), {
          ...(mediaType === '' ? {} : { mediaType }),
          ...(ref === '' ? {} : { ref }),
          ...leaseOf(context),
          labels,
          signal: context.signal,
        });
      return { diff: toWireDescriptor(layer) };
    },
  };
}

const leaseOf = (context: CallContext) => (context.lease === undefined ? {} : { lease: context.lease });
