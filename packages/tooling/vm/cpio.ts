/** A cpio archive in the "newc" form, as the kernel unpacks it for its first root file system (cpio(5), initramfs). */
export interface CpioEntry {
  readonly path: string;
  /** Type and permission bits, as st_mode. */
  readonly mode: number;
  readonly content?: Buffer;
}

const MAGIC = '070701';
const hex = (value: number): string => value.toString(16).padStart(8, '0');

export function cpio(entries: readonly CpioEntry[]): Buffer {
  const all = [...entries, { path: 'TRAILER!!!', mode: 0 }];
  return Buffer.concat(all.flatMap((entry, index) => record(entry, index + 1)));
}

function record({ path, mode, content = Buffer.alloc(0) }: CpioEntry, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, no checksum
  const numbers = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.concat([Buffer.from(MAGIC + numbers.map(hex).join('')), name]);
  return [head, padding(head.length), content, padding(content.length)];
}

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
