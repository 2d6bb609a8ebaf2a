/**
 * Extended attributes, with binary values. Paths are not followed at their last component; the descriptor forms are for
 * files opened through a confined path.
 */
import { check, declare, lastErrno, systemError } from './libc.ts';
import { cString, type Path, showPath } from './path-bytes.ts';

const c = {
  lgetxattr: declare('long lgetxattr(const uint8_t *path, const uint8_t *name, uint8_t *value, size_t size)'),
  fgetxattr: declare('long fgetxattr(int fd, const uint8_t *name, uint8_t *value, size_t size)'),
  llistxattr: declare('long llistxattr(const uint8_t *path, uint8_t *list, size_t size)'),
  flistxattr: declare('long flistxattr(int fd, uint8_t *list, size_t size)'),
  lsetxattr: declare(
    'int lsetxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
  ),
  fsetxattr: declare('int fsetxattr(int fd, const uint8_t *name, const uint8_t *value, size_t size, int flags)'),
  lremovexattr: declare('int lremovexattr(const uint8_t *path, const uint8_t *name)'),
};

const ENODATA = 61;
const EOPNOTSUPP = 95;
const maxBytes = 65_536; // XATTR_SIZE_MAX and XATTR_LIST_MAX
const scratch = Buffer.alloc(maxBytes);

/** A path (not followed at the end) or a descriptor. */
export type XattrSubject = Path | number;

const show = (subject: XattrSubject): string => (typeof subject === 'number' ? `fd ${subject}` : showPath(subject));

/** The value; undefined when the attribute is absent or the file system has none. */
export function getXattr(subject: XattrSubject, name: string): Buffer | undefined {
  const size =
    typeof subject === 'number'
      ? c.fgetxattr(subject, cString(name), scratch, maxBytes)
      : c.lgetxattr(cString(subject), cString(name), scratch, maxBytes);
  if (size < 0) {
    const errno = lastErrno();
    if (errno === ENODATA || errno === EOPNOTSUPP) return undefined;
    throw systemError('getxattr', errno, show(subject));
  }
  return Buffer.from(scratch.subarray(0, size));
}

/** Names as latin1 (they are bytes); empty when the file system has no attributes. */
export function listXattrs(subject: XattrSubject): string[] {
  const size =
    typeof subject === 'number'
      ? c.flistxattr(subject, scratch, maxBytes)
      : c.llistxattr(cString(subject), scratch, maxBytes);
  if (size < 0) {
    const errno = lastErrno();
    if (errno === EOPNOTSUPP) return [];
    throw systemError('listxattr', errno, show(subject));
  }
  return size === 0 ? [] : scratch.toString('latin1', 0, size - 1).split('\0');
}

export function setXattr(subject: XattrSubject, name: string, value: Uint8Array): void {
  const result =
    typeof subject === 'number'
      ? c.fsetxattr(subject, cString(name), value, value.length, 0)
      : c.lsetxattr(cString(subject), cString(name), value, value.length, 0);
  check(result, `setxattr ${name}`, show(subject));
}

export function removeXattr(path: Path, name: string): void {
  check(c.lremovexattr(cString(path), cString(name)), `removexattr ${name}`, showPath(path));
}
