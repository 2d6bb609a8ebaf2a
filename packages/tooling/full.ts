/** Long tests run shortened, unless the whole of them is asked for (`pnpm test:full`). */
export const isFull = process.env['BOXSHIP_TEST_FULL'] === '1';

/** The figure of the full run, or the shortened one. */
export const inFull = <T>(full: T, short: T): T => (isFull ? full : short);
