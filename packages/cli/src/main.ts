/** `boxship`: global flags, then one command. Exit codes are docker's. */
import { messageOf } from '@boxship/base';
import { runCli } from './run-cli.ts';

runCli(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
    // an open keep-alive connection or terminal must not delay the end; output that is still on its way must be written
    process.stdout.write('', () => process.exit(code));
  },
  (error: unknown) => {
    process.stderr.write(`boxship: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
