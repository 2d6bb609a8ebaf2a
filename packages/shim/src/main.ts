/**
 * containerd-shim-boxship-v2: `start`, `delete`, `serve` (internal), `-info`, `-v`. Modules are loaded per action: `start` and
 * `delete` are to be quick and need little.
 */
import { messageOf } from '@boxship/base';
import { parseArguments } from './arguments.ts';

async function main(): Promise<void> {
  const args = parseArguments(process.argv.slice(2));
  switch (args.action) {
    case 'start': {
      const { start } = await import('./start-action.ts');
      const { readInput } = await import('./bootstrap.ts');
      finish(await start(args, readInput()));
      return;
    }
    case 'delete': {
      const { cleanUp } = await import('./delete-action.ts');
      finish(await cleanUp(args));
      return;
    }
    case 'info': {
      const { describeRuntime } = await import('./info-action.ts');
      const { readInput } = await import('./bootstrap.ts');
      finish(await describeRuntime(readInput()));
      return;
    }
    case 'version': {
      const { RUNTIME_NAME, VERSION } = await import('./info-action.ts');
      finish(`containerd-shim-boxship-v2:\n  Version:  ${VERSION}\n  Runtime:  ${RUNTIME_NAME}\n`);
      return;
    }
    case 'serve': {
      const { serve } = await import('./serve-action.ts');
      await serve(args);
    }
  }
}

/** Everything asked for is written; handles that are still open must not hold the process. */
function finish(output: string | Uint8Array): void {
  process.stdout.write(output, () => process.exit(0));
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`, () => process.exit(1));
});
