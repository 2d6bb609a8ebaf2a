/**
 * Descriptors that this process inherited without close-on-exec would travel on into every program it starts, and from a
 * runtime into containers. Node marks its own; this marks all (close_range(2), Linux 5.11).
 */
import { declare } from './libc.ts';

const closeRange = declare('int close_range(unsigned int first, unsigned int last, int flags)');
const CLOSE_RANGE_CLOEXEC = 4;

/** Marks every open descriptor above stderr. On a kernel without the call they stay as they are. */
export function markInheritedCloseOnExec(): void {
  closeRange(3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC);
}
