/** Lists the tags of a repository, page by page, in the registry's own order. */
import { BoxshipError } from '@boxship/base';
import type { Reference } from '@boxship/oci';
import { pullScope, type Registry } from './registry.ts';

const maxPages = 10_000;
const maxPageBytes = 1024 * 1024;

/** @throws notFound, and what registries refuse */
export async function listTags(
  registry: Registry,
  reference: Reference,
  options: { readonly signal?: AbortSignal } = {},
): Promise<string[]> {
  return await registry.firstOf(reference.domain, 'pull', async (session) => {
    const tags: string[] = [];
    let query: Record<string, string> = { n: '1000' };
    for (let page = 0; page < maxPages; page++) {
      const answer = await session.request({
        method: 'GET',
        path: `/${reference.path}/tags/list`,
        query,
        scopes: [pullScope(reference)],
        signal: options.signal,
      });
      const link = answer.header('link');
      const document = JSON.parse(await answer.text(maxPageBytes)) as { tags?: unknown };
      if (Array.isArray(document.tags)) tags.push(...document.tags.filter((tag) => typeof tag === 'string'));
      const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1];
      if (next === undefined) return tags;
      query = Object.fromEntries(new URL(next, 'http://registry').searchParams);
    }
    throw new BoxshipError('resourceExhausted', `${reference.path} has more than ${maxPages} pages of tags`);
  });
}
