/** The life of a process: clean end on a signal, a second signal forces it, a defect ends with exit code 70. */
import type { Logger } from './log.ts';

export interface ShutdownOptions {
  readonly log: Logger;
  /** Time given to `stop` before the process leaves anyway. */
  readonly budgetMs: number;
  readonly stop: (reason: string) => Promise<void>;
}

/** Installs the handlers of a program. Recovery is the normal start path, so leaving at once is always safe. */
export function installShutdown(options: ShutdownOptions): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    options.log.info('stopping', { signal });
    const timer = setTimeout(() => process.exit(1), options.budgetMs);
    options.stop(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        clearTimeout(timer);
        options.log.error('stop failed', { error });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', () => {});
  process.on('SIGPIPE', () => {});
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      options.log.error('defect: the process ends and is started again', { event, error });
      process.exit(70); // EX_SOFTWARE
    });
  }
}
