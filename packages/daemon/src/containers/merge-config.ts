/** The container's configuration: what the request says over what the image says. */
import { BoxshipError } from '@boxship/base';
import type { ContainerConfig, ContainerCreateRequest, Healthcheck } from '@boxship/engine-api';
import type { ImageRunConfig } from '@boxship/oci';
import { checkExecStrings } from './exec-strings.ts';
import { parsePortSpec } from './ports.ts';
import { parseSignal } from './signals.ts';

const asList = (value: string | string[] | undefined): string[] | undefined =>
  typeof value === 'string' ? (value === '' ? [] : [value]) : value;

/** Environment in which a key given again replaces the earlier one in place. */
export function mergeEnv(base: readonly string[], over: readonly string[]): string[] {
  const keyOf = (entry: string) => entry.split('=', 1)[0] ?? entry;
  const seen = new Map(base.map((entry) => [keyOf(entry), entry]));
  for (const entry of over) seen.set(keyOf(entry), entry);
  return [...seen.values()];
}

/** The container's own entries, then those of the image that it does not set itself: Docker's order. */
function configuredEnv(own: readonly string[], image: readonly string[]): string[] {
  const keyOf = (entry: string) => entry.split('=', 1)[0] ?? entry;
  const set = new Set(own.map(keyOf));
  return [...own, ...image.filter((entry) => !set.has(keyOf(entry)))];
}

/** Its characters go to files of names; its length is what sethostname(2) takes. @throws invalidArgument */
function checkHostname(name: string): void {
  if (name !== '' && (!/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?$/.test(name) || name.length > 64))
    throw new BoxshipError(
      'invalidArgument',
      `invalid hostname format: ${JSON.stringify(name)}: up to 64 letters, digits, "-", "_" and "."`,
    );
}

/** Key order is the wire's. @throws invalidArgument */
export function mergeConfig(
  request: ContainerCreateRequest,
  image: ImageRunConfig | undefined,
  id: string,
): ContainerConfig {
  const requestEntrypoint = asList(request.Entrypoint);
  const requestCommand = asList(request.Cmd);
  // an entry point of its own makes the image's command meaningless; [""] clears without replacing
  const isEntrypointSet = requestEntrypoint !== undefined && requestEntrypoint.length > 0;
  const isCleared = requestEntrypoint?.length === 1 && requestEntrypoint[0] === '';
  const entrypoint = isEntrypointSet ? (isCleared ? null : requestEntrypoint) : [...(image?.Entrypoint ?? [])];
  const command =
    requestCommand !== undefined && requestCommand.length > 0
      ? requestCommand
      : isEntrypointSet
        ? null
        : [...(image?.Cmd ?? [])];
  const workingDir = request.WorkingDir || image?.WorkingDir || '';
  if (workingDir !== '' && !workingDir.startsWith('/'))
    throw new BoxshipError(
      'invalidArgument',
      `the working directory '${workingDir}' is invalid, it needs to be an absolute path`,
    );
  if (workingDir.startsWith('/proc/'))
    throw new BoxshipError(
      'invalidArgument',
      `the working directory '${workingDir}' is invalid, it must not be in /proc`,
    );
  checkExecStrings('Entrypoint', entrypoint ?? []);
  checkExecStrings('Cmd', command ?? []);
  checkExecStrings('Env', request.Env ?? []);
  checkHostname(request.Hostname ?? '');
  checkHostname(request.Domainname ?? '');
  const ports = { ...image?.ExposedPorts, ...request.ExposedPorts };
  const exposed: Record<string, object> = {};
  for (const spec of Object.keys(ports))
    for (const port of parsePortSpec(spec)) exposed[`${port.port}/${port.protocol}`] = {};
  const volumes = { ...image?.Volumes, ...request.Volumes };
  const stopSignal = request.StopSignal || image?.StopSignal || '';
  if (stopSignal !== '') parseSignal(stopSignal);
  const healthcheck = mergeHealthcheck(request.Healthcheck, image?.Healthcheck as Healthcheck | undefined);
  const shell = request.Shell ?? image?.Shell;
  const env = configuredEnv(request.Env ?? [], image?.Env ?? []);
  return {
    Hostname: request.Hostname || id.slice(0, 12),
    Domainname: request.Domainname ?? '',
    User: request.User || image?.User || '',
    AttachStdin: request.AttachStdin ?? false,
    AttachStdout: request.AttachStdout ?? false,
    AttachStderr: request.AttachStderr ?? false,
    ...(Object.keys(exposed).length === 0 ? {} : { ExposedPorts: exposed }),
    Tty: request.Tty ?? false,
    OpenStdin: request.OpenStdin ?? false,
    StdinOnce: request.StdinOnce ?? false,
    Env: env.length === 0 ? null : env,
    Cmd: command === null || command.length === 0 ? null : [...command],
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    ...(request.ArgsEscaped === true ? { ArgsEscaped: true } : {}),
    Image: request.Image ?? '',
    Volumes: Object.keys(volumes).length === 0 ? null : volumes,
    WorkingDir: workingDir,
    Entrypoint: entrypoint === null || entrypoint.length === 0 ? null : [...entrypoint],
    ...(request.NetworkDisabled === true ? { NetworkDisabled: true } : {}),
    ...(request.MacAddress ? { MacAddress: request.MacAddress } : {}),
    OnBuild: image?.OnBuild === undefined ? null : [...image.OnBuild],
    Labels: { ...withoutReserved(image?.Labels), ...request.Labels },
    ...(stopSignal === '' ? {} : { StopSignal: stopSignal }),
    ...(request.StopTimeout === undefined ? {} : { StopTimeout: request.StopTimeout }),
    ...(shell === undefined ? {} : { Shell: [...shell] }),
  };
}

/** Labels that control containerd or this engine never come from an image. */
function withoutReserved(labels: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const reserved = /^(io\.boxship\.|containerd\.io\/|io\.containerd\.|io\.cri-containerd\.)/;
  return Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !reserved.test(key)));
}

function mergeHealthcheck(request: Healthcheck | undefined, image: Healthcheck | undefined): Healthcheck | undefined {
  for (const field of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const value = request?.[field] ?? 0;
    if (value !== 0 && value < 1_000_000)
      throw new BoxshipError('invalidArgument', `${field} in Healthcheck cannot be less than 1ms`);
  }
  if ((request?.Retries ?? 0) < 0)
    throw new BoxshipError('invalidArgument', 'Retries in Healthcheck cannot be negative');
  if (request === undefined) return image;
  if (image === undefined) return request;
  const test = request.Test === undefined || request.Test.length === 0 ? image.Test : request.Test;
  return {
    ...image,
    ...Object.fromEntries(Object.entries(request).filter(([, value]) => value !== 0)),
    ...(test === undefined ? {} : { Test: test }),
  };
}
