/** `$DOCKER_CONFIG/config.json`: credentials, detach keys and formats. A missing file is an empty one. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { RegistryAuth } from '@boxship/engine-api';

interface ConfigFile {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly detachKeys?: string;
  readonly psFormat?: string;
  readonly imagesFormat?: string;
}

let loaded: ConfigFile | undefined;

/** @throws invalidArgument when the file is no JSON */
export function configFile(): ConfigFile {
  if (loaded !== undefined) return loaded;
  const path = join(process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    loaded = {}; // none, or not readable for this user: then there is nothing to use
    return loaded;
  }
  try {
    loaded = JSON.parse(text) as ConfigFile;
  } catch (error) {
    throw new BoxshipError('invalidArgument', `loading config file: ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return loaded;
}

/** What to send along for an image's registry; undefined: nothing is known. */
export function credentialsFor(image: string): RegistryAuth | undefined {
  const [first = ''] = image.split('/');
  const isHost = image.includes('/') && /[.:]|^localhost$/.test(first);
  const server = isHost && first !== 'docker.io' ? first : 'https://index.docker.io/v1/';
  const { auths, credsStore, credHelpers } = configFile();
  const helper = credHelpers?.[server] ?? credsStore;
  if (helper !== undefined) return fromHelper(helper, server);
  const entry = auths?.[server] ?? auths?.[`https://${server}`];
  if (entry?.auth === undefined) return undefined;
  const [username = '', password = ''] = Buffer.from(entry.auth, 'base64').toString('utf8').split(/:(.*)/s);
  return {
    username,
    password,
    serveraddress: server,
    ...(entry.identitytoken === undefined ? {} : { identitytoken: entry.identitytoken }),
  };
}

function fromHelper(helper: string, server: string): RegistryAuth | undefined {
  try {
    const answer = JSON.parse(
      execFileSync(`docker-credential-${helper}`, ['get'], {
        input: server,
        encoding: 'utf8',
        stdio: ['pipe', 'pipe', 'ignore'],
      }),
    ) as { Username: string; Secret: string };
    if (answer.Username === '<token>') return { identitytoken: answer.Secret, serveraddress: server };
    return { username: answer.Username, password: answer.Secret, serveraddress: server };
  } catch {
    return undefined; // the helper knows no credentials for this server: the request goes out without
  }
}
