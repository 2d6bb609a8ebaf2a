/**
 * The memory of slots, kept for a while after use: what is new comes from the kernel page by page, which takes longer than to fill it.
 */
import { type SharedSlots, sharedSlots } from './slots.ts';

const keptMs = 60_000;

interface Kept {
  readonly slots: SharedSlots;
  readonly timer: NodeJS.Timeout;
}

const kept = new Set<Kept>();

export interface BorrowedSlots extends Disposable {
  readonly slots: SharedSlots;
}

/** Disposal gives them back: no thread may use them any more. */
export function borrowSlots(count: number, slotBytes: number): BorrowedSlots {
  const slots = takeKept(count * slotBytes, slotBytes) ?? sharedSlots(count, slotBytes);
  return { slots, [Symbol.dispose]: () => keep(slots) };
}

function takeKept(bytes: number, slotBytes: number): SharedSlots | undefined {
  for (const one of kept) {
    if (one.slots.slotBytes !== slotBytes || one.slots.memory.byteLength !== bytes) continue;
    clearTimeout(one.timer);
    kept.delete(one);
    return one.slots;
  }
  return undefined;
}

function keep(slots: SharedSlots): void {
  const timer = setTimeout(() => kept.delete(one), keptMs);
  const one: Kept = { slots, timer };
  timer.unref();
  kept.add(one);
}
