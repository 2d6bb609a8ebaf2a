/** `boxship-cni`: a CNI plugin that attaches the containers of any runtime to the networks of a running boxship-networkd. */
import { text } from 'node:stream/consumers';
import { BoxshipError, messageOf } from '@boxship/base';
import { connectController } from '../../wire/connect.ts';
import { type CniErrorMessage, cniCode, cniVersions } from '../protocol.ts';
import { add, check, collectGarbage, del, status } from './commands.ts';
import { CniFailure } from './failure.ts';
import { parseConfiguration, parseEnvironment } from './request.ts';

/** A networkd that is being started again is waited for, except by those who ask whether it is there. */
const timeoutMs = { ADD: 30_000, DEL: 30_000, CHECK: 10_000, GC: 30_000, STATUS: 2000 } as const;

async function run(): Promise<unknown> {
  const environment = parseEnvironment(process.env);
  const input = await text(process.stdin);
  if (environment.command === 'VERSION') return { cniVersion: versionIn(input), supportedVersions: cniVersions };
  const request = { ...environment, configuration: parseConfiguration(input) };
  using controller = connectController(request.configuration.socket, { timeoutMs: timeoutMs[environment.command] });
  switch (environment.command) {
    case 'ADD':
      return await add(controller, request);
    case 'DEL':
      return await del(controller, request);
    case 'CHECK':
      return await check(controller, request);
    case 'GC':
      return await collectGarbage(controller, request);
    case 'STATUS':
      return await status(controller, request);
  }
}

/** The version that the caller speaks; the newest when it does not say. */
function versionIn(input: string): string {
  try {
    const { cniVersion } = JSON.parse(input) as { cniVersion?: unknown };
    return typeof cniVersion === 'string' ? cniVersion : '1.1.0';
  } catch {
    return '1.1.0'; // VERSION is also asked without a configuration
  }
}

function errorMessage(error: unknown): CniErrorMessage {
  const of = (code: number, msg: string, details?: string): CniErrorMessage => ({
    cniVersion: '1.1.0',
    code,
    msg,
    ...(details === undefined ? {} : { details }),
  });
  if (error instanceof CniFailure) return of(error.code, error.message, error.details);
  if (BoxshipError.is(error, 'unavailable') || BoxshipError.is(error, 'deadlineExceeded'))
    return of(cniCode.tryAgainLater, error.message);
  if (BoxshipError.is(error, 'invalidArgument')) return of(cniCode.badConfiguration, error.message);
  return of(cniCode.internal, messageOf(error));
}

run().then(
  (result) => {
    if (result !== undefined) process.stdout.write(`${JSON.stringify(result)}\n`);
  },
  (error: unknown) => {
    process.stdout.write(`${JSON.stringify(errorMessage(error))}\n`);
    process.exitCode = 1;
  },
);
