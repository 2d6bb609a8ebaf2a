import { encodeJsonAny, typeUrls } from '@boxship/api';

/** The record of a container, as a client sends it, with nothing in it but what is said. */
export const newContainer = <T extends { readonly id: string }>(fields: T) => ({
  labels: {},
  image: '',
  runtime: { name: 'io.containerd.runc.v2', options: undefined },
  spec: encodeJsonAny(typeUrls.spec, { ociVersion: '1.1.0' }),
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: {},
  sandbox: '',
  ...fields,
});
