/** boxshipd: the Docker Engine REST API over containerd. */
export { type DaemonConfig, parseDaemonConfig } from './config.ts';
export { type Daemon, type DaemonSeams, startDaemon } from './daemon.ts';
