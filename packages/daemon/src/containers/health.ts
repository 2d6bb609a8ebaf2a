/** Health checks: probes run as execs; the state machine is pure and tested alone. */
import { Writable } from 'node:stream';
import { formatDurationNs, sleep } from '@boxship/base';
import type { Health, Healthcheck, HealthResult } from '@boxship/engine-api';
import { nowRfc3339, parseTimeMs } from '../clock.ts';
import type { Parts } from '../parts.ts';
import { createExec, execPaths, startExec } from './exec.ts';
import { type Container, eventAttributes } from './model.ts';
import { copyOutput, type OutputCopy } from './output.ts';

const defaultIntervalNs = 30e9;
const defaultTimeoutNs = 30e9;
const defaultStartIntervalNs = 5e9;
const defaultRetries = 3;
const keptResults = 5;
const maxOutputBytes = 4096;
const SIGKILL = 9;

/** What a result makes of a health. Failures within the start period count only once it has been healthy. */
export function nextHealth(health: Health, result: HealthResult, retries: number, isInStartPeriod: boolean): Health {
  const log = [...health.Log, result].slice(-keptResults);
  if (result.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log: log };
  if (isInStartPeriod && health.Status === 'starting') return { ...health, Log: log };
  const streak = health.FailingStreak + 1;
  return { Status: streak >= retries ? 'unhealthy' : health.Status, FailingStreak: streak, Log: log };
}

/** Begins probing a container that has just started, if it has a check. */
export function startHealthMonitor(parts: Parts, container: Container): void {
  const check = container.record.config.Healthcheck;
  container.healthMonitor?.abort();
  const test = check?.Test ?? [];
  if (check === undefined || test.length === 0 || test[0] === 'NONE') {
    container.health = undefined;
    return;
  }
  const monitor = new AbortController();
  container.healthMonitor = monitor;
  container.health = { Status: 'starting', FailingStreak: 0, Log: [] };
  const signal = AbortSignal.any([monitor.signal, parts.stopping]);
  probeLoop(parts, container, check, signal).catch((error: unknown) => {
    if (!signal.aborted) parts.log.error('health check ended', { container: container.id, error });
  });
}

async function probeLoop(parts: Parts, container: Container, check: Healthcheck, signal: AbortSignal): Promise<void> {
  const startedMs = parseTimeMs(container.record.state.StartedAt);
  const startPeriodMs = (check.StartPeriod ?? 0) / 1e6;
  const retries = check.Retries || defaultRetries;
  while (!signal.aborted) {
    const isEarly = Date.now() - startedMs < startPeriodMs && container.health?.Status === 'starting';
    const intervalNs = isEarly ? check.StartInterval || defaultStartIntervalNs : check.Interval || defaultIntervalNs;
    await sleep(intervalNs / 1e6, signal);
    if (container.record.state.Paused || container.health === undefined) continue;
    const result = await probe(parts, container, check);
    if (signal.aborted) return;
    const before = container.health;
    const after = nextHealth(before, result, retries, Date.parse(result.Start) - startedMs < startPeriodMs);
    container.health = after;
    if (after.Status !== before.Status)
      parts.events.publish(
        'container',
        `health_status: ${after.Status}`,
        container.id,
        eventAttributes(container.record),
      );
  }
}

async function probe(parts: Parts, container: Container, check: Healthcheck): Promise<HealthResult> {
  const [kind = '', ...rest] = check.Test ?? [];
  const shell = container.record.config.Shell ?? ['/bin/sh', '-c'];
  const command = kind === 'CMD-SHELL' ? [...shell, ...rest] : rest;
  const timeoutNs = check.Timeout || defaultTimeoutNs;
  const Start = nowRfc3339();
  const output: Buffer[] = [];
  let bytes = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (bytes < maxOutputBytes) output.push(chunk);
      bytes += chunk.length;
      done();
    },
  });
  const text = () => Buffer.concat(output).toString('utf8').slice(0, maxOutputBytes);
  try {
    const exec = createExec(parts, container, { Cmd: command, AttachStdout: true, AttachStderr: true });
    let copy: OutputCopy | undefined;
    const deadline = AbortSignal.timeout(timeoutNs / 1e6);
    await startExec(parts, exec, {
      isTty: false,
      consoleSize: undefined,
      hasStdin: false,
      connect() {
        const { attachSocket: path } = execPaths(parts, exec.id);
        const isAlive = () => exec.state === 'starting' || exec.state === 'running';
        copy = copyOutput({ path, client: sink, isTty: false, isPlain: true, stdout: true, stderr: true, isAlive });
        return copy.connected;
      },
    });
    const exitCode = await Promise.race([
      exec.exited.promise,
      sleep(timeoutNs / 1e6 + 1, deadline).catch(() => undefined),
    ]);
    if (exitCode === undefined) {
      const { containerId, id: execId } = exec;
      await parts.containerd.tasks.kill({ containerId, execId, signal: SIGKILL, all: false });
      const said = text();
      const why = `Health check exceeded timeout (${formatDurationNs(timeoutNs)})`;
      return { Start, End: nowRfc3339(), ExitCode: -1, Output: said === '' ? why : `${why}: ${said}` };
    }
    await copy?.done;
    return { Start, End: nowRfc3339(), ExitCode: exitCode, Output: text() };
  } catch (error) {
    return { Start, End: nowRfc3339(), ExitCode: -1, Output: (error as Error).message };
  }
}
