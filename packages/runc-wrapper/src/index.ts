export type { CallOptions, Stdio } from './invocation.ts';
export { descendantsOf, killTree } from './process-tree.ts';
export { Runc, type RuncOptions } from './runc.ts';
export type {
  CheckpointOptions,
  ContainerState,
  CreateOptions,
  ExecOptions,
  ExecToEndOptions,
  ProcessTable,
  RestoreOptions,
  RunOptions,
  RuntimeEvent,
  RuntimeFeatures,
  RuntimeVersion,
} from './verbs.ts';
