/** Runs CNI plugins: one call of one program, and a chain of them forward (ADD) or backward (DEL). */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { CniErrorMessage, CniResult } from '../../cni/protocol.ts';
import type { ConfigurationList, PluginConfiguration } from './conflist.ts';

/** A plugin may wait for an address by DHCP. */
const timeoutMs = 60_000;
const maxOutputBytes = 4 << 20;

export interface Attachment {
  readonly containerId: string;
  readonly namespace: string;
  readonly interfaceName: string;
  /** Runtime configuration by capability; only what a plugin declares is passed to it. */
  readonly capabilities: Readonly<Record<string, unknown>>;
}

/** @throws notFound naming the directories that were looked at */
export function findPlugin(type: string, path: string): string {
  for (const directory of path.split(delimiter)) {
    const program = join(directory, type);
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // not here: the next directory
    }
  }
  throw new BoxshipError('notFound', `failed to find plugin "${type}" in path [${path.split(delimiter).join(' ')}]`);
}

/** @throws what the first failing plugin says; nothing is taken back: that is the caller's DEL */
export async function addChain(list: ConfigurationList, path: string, attachment: Attachment): Promise<CniResult> {
  let result: CniResult | undefined;
  for (const plugin of list.plugins) result = (await run('ADD', list, plugin, path, attachment, result)) ?? result;
  return result ?? { cniVersion: list.cniVersion };
}

/** Every plugin is asked; the first failure is thrown at the end. */
export async function deleteChain(
  list: ConfigurationList,
  path: string,
  attachment: Attachment,
  result: CniResult | undefined,
): Promise<void> {
  const failures: unknown[] = [];
  for (const plugin of list.plugins.toReversed())
    await run('DEL', list, plugin, path, attachment, result).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

function run(
  command: 'ADD' | 'DEL',
  list: ConfigurationList,
  plugin: PluginConfiguration,
  path: string,
  attachment: Attachment,
  previous: CniResult | undefined,
): Promise<CniResult | undefined> {
  const { type } = plugin;
  const program = findPlugin(type, path);
  const env = {
    PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: command,
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.namespace,
    CNI_IFNAME: attachment.interfaceName,
    CNI_PATH: path,
  };
  return new Promise((resolve, reject) => {
    const options = { env, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: maxOutputBytes } as const;
    const child = execFile(program, options, (error, stdout, stderr) => {
      if (error?.killed === true)
        reject(
          new BoxshipError('deadlineExceeded', `CNI plugin ${type} (${command}) did not end within ${timeoutMs} ms`),
        );
      else if (error !== null) reject(failureOf(type, command, stdout, stderr || error.message));
      else resolve(stdout.trim() === '' ? undefined : parse(type, stdout));
    });
    child.stdin?.on('error', () => {}); // it may end without reading
    child.stdin?.end(JSON.stringify(derived(list, plugin, attachment, previous)));
  });
}

/** Section 3: what a runtime passes on of a plugin's configuration. */
function derived(
  list: ConfigurationList,
  { capabilities, ...plugin }: PluginConfiguration,
  attachment: Attachment,
  previous: CniResult | undefined,
): object {
  const declared = typeof capabilities === 'object' && capabilities !== null ? Object.entries(capabilities) : [];
  const runtimeConfig = Object.fromEntries(
    declared.flatMap(([name, isWanted]) =>
      isWanted === true && attachment.capabilities[name] !== undefined ? [[name, attachment.capabilities[name]]] : [],
    ),
  );
  return {
    ...plugin,
    cniVersion: list.cniVersion,
    name: list.name,
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    ...(previous === undefined ? {} : { prevResult: previous }),
  };
}

function parse(type: string, stdout: string): CniResult {
  try {
    return JSON.parse(stdout) as CniResult;
  } catch (error) {
    throw new BoxshipError('internal', `CNI plugin ${type} printed no JSON: ${stdout.slice(0, 200)}`, { cause: error });
  }
}

/** libcni's words. */
function failureOf(type: string, command: string, stdout: string, stderr: string): BoxshipError {
  let said: Partial<CniErrorMessage> = {};
  try {
    said = JSON.parse(stdout) as Partial<CniErrorMessage>;
  } catch {
    // it ended without a word in its own language
  }
  const details = said.details === undefined || said.details === '' ? '' : `; ${said.details}`;
  const message = said.msg === undefined ? stderr.trim() : `${said.msg}${details}`;
  return new BoxshipError('unknown', `plugin type="${type}" failed (${command.toLowerCase()}): ${message}`, {
    details: { code: said.code },
  });
}
