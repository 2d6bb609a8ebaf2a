import { expect, it } from 'vitest';
import { acquireSlot } from './worker-slots.ts';

it('hands turns over, also past those who gave up waiting', async () => {
  const held = await Promise.all(Array.from({ length: 4 }, () => acquireSlot('call')));
  const controller = new AbortController();
  const impatient = acquireSlot('call', controller.signal);
  const order: number[] = [];
  const patient = [1, 2].map(async (n) => {
    using _slot = await acquireSlot('call');
    order.push(n);
  });
  controller.abort(new Error('enough'));
  await expect(impatient).rejects.toThrow('enough');
  expect(order).toEqual([]);
  held[0]?.[Symbol.dispose]();
  await Promise.all(patient);
  expect(order).toEqual([1, 2]);
  for (const slot of held.slice(1)) slot[Symbol.dispose]();
  await Promise.all(Array.from({ length: 4 }, () => acquireSlot('call')));
  await expect(acquireSlot('call', AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});
