/** `janitor DIRECTORY [flags of boxshipd]`: removes what the killed owner of an in-process engine has left. */
import { BoxshipError, messageOf } from '@boxship/base';
import { createLogger } from '@boxship/base/pino';
import { createEngine } from './create-engine.ts';

async function main(): Promise<void> {
  const [directory = '', ...args] = process.argv.slice(2);
  const log = createLogger({ name: 'boxship-janitor' });
  try {
    await using _engine = await createEngine({ directory, args, log, atEnd: 'remove' });
  } catch (error) {
    if (!BoxshipError.is(error, 'conflict')) throw error;
    log.info('another engine has taken the directory over', { directory });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`boxship-janitor: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
