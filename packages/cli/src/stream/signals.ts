/** Hands the signals that we get on to the container (`--sig-proxy`). */
import { constants } from 'node:os';

// not forwarded by docker: SIGCHLD, SIGPIPE, SIGURG; not catchable: SIGKILL, SIGSTOP; SIGWINCH has its own way.
// Faults of this process are its own.
const own = new Set<NodeJS.Signals>([
  'SIGCHLD',
  'SIGPIPE',
  'SIGURG',
  'SIGKILL',
  'SIGSTOP',
  'SIGWINCH',
  'SIGSEGV',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGIOT',
  'SIGPROF',
  'SIGSYS',
  'SIGUNUSED' as NodeJS.Signals,
]);

/** @returns a function that ends the forwarding */
export function forwardSignals(kill: (signal: string) => Promise<unknown>): () => void {
  const listeners = (Object.keys(constants.signals) as NodeJS.Signals[])
    .filter((name) => !own.has(name))
    .map((name) => {
      // a container that has just ended cannot be signalled; its exit is on its way to us
      const listener = () => void kill(name.slice('SIG'.length)).catch(() => {});
      process.on(name, listener);
      return [name, listener] as const;
    });
  return () => {
    for (const [name, listener] of listeners) process.off(name, listener);
  };
}
