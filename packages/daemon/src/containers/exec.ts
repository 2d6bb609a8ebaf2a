/** Exec: registered on create, run on start with an attach socket of its own, inspectable until some minutes after its end. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { encodeJsonAny, typeUrls } from '@boxship/api';
import { BoxshipError, randomId } from '@boxship/base';
import type { ExecCreateRequest, ExecInspect } from '@boxship/engine-api';
import type { RuntimeProcess } from '@boxship/oci';
import { linkedEnvironment } from '../networks/links.ts';
import type { Parts } from '../parts.ts';
import type { Exec } from './exec-store.ts';
import { checkExecStrings } from './exec-strings.ts';
import { execLogUri } from './log/uri.ts';
import { mergeEnv } from './merge-config.ts';
import { type Container, eventAttributes, notRunning } from './model.ts';
import { openProcessInput } from './process-input.ts';
import { readAccountFiles } from './rootfs-files.ts';
import { capabilitiesOf, capabilitySpec, environmentOf, rlimitsOf } from './spec/build.ts';
import { parseSecurityOptions } from './spec/security.ts';
import { resolveUser } from './spec/user.ts';

export interface ExecPaths {
  readonly attachSocket: string;
  readonly stdin: string;
}

export function execPaths(parts: Parts, id: string): ExecPaths {
  const base = join(parts.config.execRoot, 'attach', `x${id.slice(0, 12)}`);
  return { attachSocket: `${base}.sock`, stdin: `${base}.stdin` };
}

export function checkExecutable(container: Container): void {
  const { state } = container.record;
  if (!state.Running || state.Restarting) throw notRunning(container);
  if (state.Paused)
    throw new BoxshipError('conflict', `Container ${container.id} is paused, unpause the container before exec`);
}

/** @throws conflict when not running or paused; invalidArgument without a command */
export function createExec(parts: Parts, container: Container, request: ExecCreateRequest): Exec {
  checkExecutable(container);
  const command = typeof request.Cmd === 'string' ? [request.Cmd] : (request.Cmd ?? []);
  checkExecStrings('Cmd', command);
  checkExecStrings('Env', request.Env ?? []);
  if (command.length === 0) throw new BoxshipError('invalidArgument', 'No exec command specified');
  if (request.WorkingDir !== undefined && request.WorkingDir !== '' && !request.WorkingDir.startsWith('/'))
    throw new BoxshipError(
      'invalidArgument',
      `the working directory '${request.WorkingDir}' is invalid, it needs to be an absolute path`,
    );
  const exec: Exec = {
    id: randomId(),
    containerId: container.id,
    command,
    request,
    detachKeys: request.DetachKeys ?? '',
    state: 'created',
    pid: 0,
    exitCode: undefined,
    stdin: undefined,
    endedAt: 0,
    exited: Promise.withResolvers<number>(),
  };
  parts.execs.add(exec);
  publish(parts, container, exec, `exec_create: ${exec.command.join(' ')}`);
  return exec;
}

export function publish(
  parts: Parts,
  container: Container,
  exec: Exec,
  action: string,
  more: Readonly<Record<string, string>> = {},
): void {
  parts.events.publish('container', action, container.id, {
    ...eventAttributes(container.record),
    execID: exec.id,
    ...more,
  });
}

export interface ExecStartOptions {
  readonly isTty: boolean;
  readonly consoleSize: readonly number[] | undefined;
  readonly hasStdin: boolean;
  /** Called when the attach socket is about to exist; resolves when connected. */
  readonly connect: () => Promise<void>;
}

/** Runs it. @throws conflict when it has run; the runtime's error when it cannot run (exit code set) */
export async function startExec(parts: Parts, exec: Exec, options: ExecStartOptions): Promise<void> {
  const container = parts.containers.byId(exec.containerId);
  if (container === undefined) throw new BoxshipError('notFound', `No such container: ${exec.containerId}`);
  if (exec.state !== 'created')
    throw new BoxshipError(
      'conflict',
      exec.state === 'exited'
        ? `Error: Exec command ${exec.id} has already run`
        : `Error: Exec command ${exec.id} is already running`,
    );
  checkExecutable(container);
  exec.state = 'starting';
  publish(parts, container, exec, `exec_start: ${exec.command.join(' ')}`);
  const paths = execPaths(parts, exec.id);
  const uri = execLogUri(parts.config, paths.attachSocket);
  const { tasks } = parts.containerd;
  try {
    if (options.hasStdin) exec.stdin = openProcessInput(paths.stdin);
    await tasks.exec({
      containerId: container.id,
      execId: exec.id,
      stdin: options.hasStdin ? paths.stdin : '',
      stdout: uri,
      stderr: options.isTty ? '' : uri,
      terminal: options.isTty,
      spec: encodeJsonAny(typeUrls.process, processOf(parts, container, exec, options)),
    });
    // a shim makes the socket with the process or before: the connection is sought while the start runs
    const connecting = options.connect();
    const { pid } = await tasks.start({ containerId: container.id, execId: exec.id });
    exec.pid = pid;
    if (exec.state === 'starting') exec.state = 'running';
    await connecting;
  } catch (error) {
    finish(parts, exec, exitCodeOfFailure(error));
    await tasks.deleteProcess({ containerId: container.id, execId: exec.id }).catch((cause: unknown) => {
      if (!BoxshipError.is(cause, 'notFound'))
        parts.log.warn('failed exec was not removed', { exec: exec.id, error: cause });
    });
    throw error;
  }
}

function exitCodeOfFailure(error: unknown): number {
  const text = (error as Error).message.toLowerCase();
  if (/executable file not found|no such file or directory/.test(text)) return 127;
  return /permission denied|is a directory/.test(text) ? 126 : 128;
}

function processOf(parts: Parts, container: Container, exec: Exec, options: ExecStartOptions): RuntimeProcess {
  const { record } = container;
  const { request } = exec;
  const user = resolveUser(
    request.User || record.config.User,
    record.hostConfig.GroupAdd ?? [],
    readAccountFiles(record.rootMounts),
  );
  const isPrivileged = record.hostConfig.Privileged || request.Privileged === true;
  const capabilities = capabilitiesOf({ ...record.hostConfig, Privileged: isPrivileged }, parts.host);
  const { isNoNewPrivileges } = parseSecurityOptions(record.hostConfig.SecurityOpt ?? []);
  const [height = 0, width = 0] = options.consoleSize ?? request.ConsoleSize ?? [];
  return {
    ...(options.isTty ? { terminal: true } : {}),
    ...(options.isTty && height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
    user,
    args: exec.command,
    env: mergeEnv(environmentOf(record, options.isTty, linkedEnvironment(parts, record)), request.Env ?? []),
    cwd: request.WorkingDir || record.config.WorkingDir || '/',
    capabilities: capabilitySpec(capabilities, user.uid),
    ...rlimitsOf(record.hostConfig, parts.config),
    ...((isNoNewPrivileges ?? parts.config.isNoNewPrivileges) ? { noNewPrivileges: true } : {}),
    oomScoreAdj: record.hostConfig.OomScoreAdj,
  };
}

/** The exit event of an exec. */
export function execExited(parts: Parts, id: string, exitCode: number): void {
  const exec = parts.execs.byId(id);
  if (exec === undefined || exec.state === 'exited') return;
  finish(parts, exec, exitCode);
  const container = parts.containers.byId(exec.containerId);
  if (container !== undefined) publish(parts, container, exec, 'exec_die', { exitCode: String(exitCode) });
  parts.containerd.tasks.deleteProcess({ containerId: exec.containerId, execId: id }).catch((error: unknown) => {
    if (!BoxshipError.is(error, 'notFound')) parts.log.warn('ended exec was not removed', { exec: id, error });
  });
}

function finish(parts: Parts, exec: Exec, exitCode: number): void {
  exec.state = 'exited';
  exec.exitCode = exitCode;
  exec.endedAt = Date.now();
  exec.stdin?.close();
  exec.exited.resolve(exitCode);
  const paths = execPaths(parts, exec.id);
  rmSync(paths.stdin, { force: true });
}

export function inspectExec(exec: Exec): ExecInspect {
  const { request } = exec;
  const [entrypoint = '', ...args] = exec.command;
  return {
    ID: exec.id,
    Running: exec.state === 'running' || exec.state === 'starting',
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: {
      tty: request.Tty ?? false,
      entrypoint,
      arguments: args,
      privileged: request.Privileged ?? false,
      ...(request.User ? { user: request.User } : {}),
    },
    OpenStdin: request.AttachStdin ?? false,
    OpenStderr: request.AttachStderr ?? false,
    OpenStdout: request.AttachStdout ?? false,
    CanRemove: exec.state === 'exited',
    ContainerID: exec.containerId,
    DetachKeys: exec.detachKeys,
    Pid: exec.pid,
  };
}
