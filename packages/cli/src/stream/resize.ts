/** Tells a terminal container the size of ours, now and whenever it changes. */
import { BoxshipError, poll } from '@boxship/base';
import type { CommandContext } from '../command.ts';

type Resize = (size: { h: number; w: number }) => Promise<unknown>;

/** @returns a function that ends the watch */
export function followWindowSize(context: CommandContext, resize: Resize): () => void {
  const tell = async (): Promise<true | undefined> => {
    const [w, h] = [context.stdout.columns, context.stdout.rows];
    if (!w || !h) return true;
    try {
      await resize({ h, w });
      return true;
    } catch (error) {
      // right after the start the process may not be there yet: asked again for a second
      if (BoxshipError.is(error, 'notFound')) return true;
      return undefined;
    }
  };
  void poll({ everyMs: 50, timeoutMs: 1_000 }, tell);
  const onResize = () => void tell();
  context.stdout.on('resize', onResize);
  return () => context.stdout.off('resize', onResize);
}
