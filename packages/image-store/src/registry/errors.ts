/**
 * What a registry refused, as an error of ours. The texts are those that Docker prints for the same answers: the code in
 * words, then the message (distribution-spec, "Error Codes").
 */
import { STATUS_CODES } from 'node:http';
import { BoxshipError, type ErrorKind } from '@boxship/base';

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: 'invalidArgument',
  401: 'unauthenticated',
  403: 'permissionDenied',
  404: 'notFound',
  405: 'unimplemented',
  408: 'unavailable',
  416: 'outOfRange',
  429: 'unavailable',
  500: 'unavailable',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

export interface RegistryErrorEntry {
  readonly code: string;
  readonly message: string;
}

/** @param body the answer's body, at most some kilobytes of it */
export function registryError(status: number, body: string, request: string): BoxshipError {
  const entries = parseErrors(body);
  const message =
    entries.length > 0
      ? entries.map(describe).join('\n')
      : status === 401
        ? 'unauthorized: authentication required'
        : status === 403
          ? 'denied: requested access to the resource is denied'
          : `received unexpected HTTP status: ${status} ${STATUS_CODES[status] ?? ''}`.trim();
  return new BoxshipError(kinds[status] ?? (status >= 500 ? 'unavailable' : 'unknown'), message, {
    details: { status, code: entries[0]?.code, request },
  });
}

/** Statuses after which the same request may succeed. */
export const isRetryableStatus = (status: unknown): boolean =>
  typeof status === 'number' && [408, 429, 500, 502, 503, 504].includes(status);

/** Failures of the network that will be the same next time. */
export function isHopeless(error: BoxshipError): boolean {
  return /^(ENOTFOUND|ECONNREFUSED|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS|EPROTO|ERR_SSL)/.test(
    String(error.details['code']),
  );
}

function describe({ code, message }: RegistryErrorEntry): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return message === '' ? words : `${words}: ${message}`;
}

function parseErrors(body: string): RegistryErrorEntry[] {
  try {
    const document = JSON.parse(body) as { errors?: unknown; details?: unknown } | null;
    if (!Array.isArray(document?.errors)) {
      // Token servers and some gateways send {"details": "…"}.
      return typeof document?.details === 'string' ? [{ code: 'UNAUTHORIZED', message: document.details }] : [];
    }
    return document.errors
      .slice(0, 10)
      .flatMap((entry: { code?: unknown; message?: unknown } | null) =>
        typeof entry?.code === 'string'
          ? [{ code: entry.code, message: typeof entry.message === 'string' ? entry.message.slice(0, 1000) : '' }]
          : [],
      );
  } catch {
    return []; // not JSON: the status has to do
  }
}
