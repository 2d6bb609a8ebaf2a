/** The controller as a library, in a process and a network namespace of its own: prints lines of the table. */
import { join } from 'node:path';
import { createController } from '@boxship/network';
import { controllerRows } from './network-controller.ts';

const [directory = '', how = '', wanted = ''] = process.argv.slice(2);

async function main(): Promise<void> {
  await using controller = await createController({
    stateDir: join(directory, 'state'),
    runDir: join(directory, 'run'),
    instanceId: 'bench',
  });
  for await (const line of controllerRows(controller, { directory, how, wanted })) console.log(line);
  await controller.purge();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
