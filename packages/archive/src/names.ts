/** Cleans the names of archive members: rooted, without `.`, `..` and empty components, and within the limits. */
import { type ArchiveLimits, overLimit } from './limits.ts';

/** Most names are clean but for a leading `./`; a component that begins with a dot is looked at below. */
const plainName = /^(?:\.\/)?([^/.][^/]*(?:\/[^/.][^/]*)*)$/;

/**
 * The path below the root, '' for the root itself. `..` at the top stays at the top, as in the references: `../../x` is `x`.
 * @throws resourceExhausted
 */
export function cleanName(name: string, limits: ArchiveLimits): string {
  if (name.length > limits.pathBytes) throw overLimit(`path of ${name.length} bytes; the limit is ${limits.pathBytes}`);
  const isShort = name.length <= limits.componentBytes && name.length <= limits.pathDepth;
  const plain = isShort ? plainName.exec(name)?.[1] : undefined;
  if (plain !== undefined) return plain;
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else if (part.length > limits.componentBytes)
      throw overLimit(`name of ${part.length} bytes; the limit is ${limits.componentBytes}`);
    else parts.push(part);
  }
  if (parts.length > limits.pathDepth)
    throw overLimit(`path of ${parts.length} components; the limit is ${limits.pathDepth}`);
  return parts.join('/');
}

export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
export const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
export const joinName = (directory: string, name: string): string => (directory === '' ? name : `${directory}/${name}`);
