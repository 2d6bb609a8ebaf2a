/**
 * The memory of slots, kept for a while after use: what is new comes from the kernel page by page, which takes longer than to fill it.
 */
import { type SharedSlots, sharedSlots } from './slots.ts';

const keptMs = 60_000;
/** Enough for two layers at once; more are rare, and would lie about for nothing. */
const maxKept = 4;

const kept = new Set<{ readonly slots: SharedSlots; readonly timer: NodeJS.Timeout }>();

/** Disposal gives them back: no thread may use them any more. */
export function borrowSlots(count: number, slotBytes: number): SharedSlots & Disposable {
  const slots = takeKept(count * slotBytes, slotBytes) ?? sharedSlots(count, slotBytes);
  return { ...slots, [Symbol.dispose]: () => keep(slots) };
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
  if (kept.size === maxKept) return;
  const one = { slots, timer: setTimeout(() => kept.delete(one), keptMs).unref() };
  kept.add(one);
}
