export { Containerd, type ContainerdHandlers, type ContainerdOptions, type LocalContainerd } from './containerd.ts';
export { type ContainerdServer, serveContainerd } from './server.ts';
export { containerdVersion } from './version.ts';
