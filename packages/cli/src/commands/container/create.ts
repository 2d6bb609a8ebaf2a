/** `create`: a container that does not run yet. */
import { defineCommand } from '../../command.ts';
import { containerFlags, containerRequest } from '../../options/container-config.ts';
import { createContainer } from './create-container.ts';

export default defineCommand({
  usage: 'create [OPTIONS] IMAGE [COMMAND] [ARG...]',
  short: 'Create a new container',
  flags: containerFlags,
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  isInterspersed: false,
  async run(context, values, operands, given) {
    const request = containerRequest(values, operands, given, { isDetached: false });
    const { name, platform, pull, quiet } = values;
    context.print(await createContainer(context, request, { name, platform, pull, isQuiet: quiet }));
    return 0;
  },
});
