/** Processes added to a running container. */
import { type Static, Type } from 'typebox';
import { optionalBoolean, optionalString, StringList, StringOrList } from './primitives.ts';

export const ExecCreateSchema = Type.Object({
  User: optionalString,
  Privileged: optionalBoolean,
  Tty: optionalBoolean,
  ConsoleSize: Type.Optional(Type.Array(Type.Integer())),
  AttachStdin: optionalBoolean,
  AttachStderr: optionalBoolean,
  AttachStdout: optionalBoolean,
  Detach: optionalBoolean,
  DetachKeys: optionalString,
  Env: Type.Optional(StringList),
  WorkingDir: optionalString,
  Cmd: Type.Optional(StringOrList),
});
export type ExecCreateRequest = Static<typeof ExecCreateSchema>;

export const ExecStartSchema = Type.Object({
  Detach: optionalBoolean,
  Tty: optionalBoolean,
  ConsoleSize: Type.Optional(Type.Array(Type.Integer())),
});
export type ExecStartRequest = Static<typeof ExecStartSchema>;

export interface ExecInspect {
  ID: string;
  Running: boolean;
  ExitCode: number | null;
  ProcessConfig: {
    tty: boolean;
    entrypoint: string;
    arguments: string[];
    privileged: boolean;
    user?: string;
  };
  OpenStdin: boolean;
  OpenStderr: boolean;
  OpenStdout: boolean;
  CanRemove: boolean;
  ContainerID: string;
  DetachKeys: string;
  Pid: number;
}
