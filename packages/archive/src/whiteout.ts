/**
 * Whiteouts: how a layer says that something below is gone. In archives by name (OCI image-spec, "Whiteouts"), in overlay
 * directories by a 0:0 character device or an attribute (kernel: Documentation/filesystems/overlayfs).
 */
import { malformed } from './limits.ts';

export const whiteoutPrefix = '.wh.';
export const opaqueMarker = '.wh..wh..opq';
const internalPrefix = '.wh..wh.';

export type Whiteout =
  | { readonly kind: 'opaque' } // hides everything below in this directory
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'internal' }; // left-overs of aufs: ignored

/** What a member's last component means; undefined for an ordinary name. @throws invalidArgument for `.wh.`, `.wh..`, `.wh...` */
export function parseWhiteout(base: string): Whiteout | undefined {
  if (!base.startsWith(whiteoutPrefix)) return undefined;
  if (base === opaqueMarker) return { kind: 'opaque' };
  if (base.startsWith(internalPrefix)) return { kind: 'internal' };
  const name = base.slice(whiteoutPrefix.length);
  if (name === '' || name === '.' || name === '..') throw malformed(`invalid whiteout name: ${base}`);
  return { kind: 'remove', name };
}

export const opaqueAttribute = (isUserXattr: boolean): string =>
  isUserXattr ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
export const opaqueValue: Uint8Array = Buffer.from('y');

/**
 * Attributes that an archive may set. Overlay's own would forge whiteouts and redirects; other `trusted.` and `security.`
 * attributes are the host's policy, except for file capabilities.
 */
export function isAllowedXattr(name: string): boolean {
  if (name === 'security.capability') return true;
  if (name.startsWith('trusted.') || name.startsWith('security.')) return false;
  return !name.startsWith('user.overlay.');
}
