export type { ContainerdHandlers } from '@boxship/api';
export { Containerd, type ContainerdOptions, type LocalContainerd } from './containerd.ts';
export { type ContainerdServer, serveContainerd } from './server.ts';
export { containerdVersion } from './version.ts';
