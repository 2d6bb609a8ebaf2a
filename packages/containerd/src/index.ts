export type { ContainerdHandlers } from '@boxship/api';
export { type ContainerdConfig, containerdOptions, parseConfig } from './config.ts';
export { Containerd, type ContainerdOptions, type LocalContainerd } from './containerd.ts';
export { type ContainerdServer, serveContainerd } from './server.ts';
export { containerdVersion } from './version.ts';
