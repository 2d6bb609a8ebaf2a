/** `inspect`: whatever has the name: a container, an image, a network, a volume. */
import { BoxshipError } from '@boxship/base';
import type { EngineClient } from '@boxship/engine-api';
import { defineCommand } from '../../command.ts';
import { inspectAll } from '../../format/inspect.ts';
import { flag } from '../../pflag/flags.ts';

type Kind = 'container' | 'image' | 'network' | 'volume';
const order: readonly Kind[] = ['container', 'image', 'network', 'volume'];

const lookups: Readonly<Record<Kind, (client: EngineClient, name: string, size: boolean) => Promise<unknown>>> = {
  container: (client, name, size) => client.containers.inspect(name, size ? { size } : {}),
  image: (client, name) => client.images.inspect(name),
  network: (client, name) => client.networks.inspect(name),
  volume: (client, name) => client.volumes.inspect(name),
};

export default defineCommand({
  usage: 'inspect [OPTIONS] NAME|ID [NAME|ID...]',
  short: 'Return low-level information on Docker objects',
  flags: {
    format: flag.string({ short: 'f', help: 'Format output using a custom template' }),
    size: flag.bool({ short: 's', help: 'Display total file sizes if the type is container' }),
    type: flag.string({ help: 'Only inspect objects of the given type' }),
  },
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  run(context, values, operands) {
    if (values.type !== '' && !order.includes(values.type as Kind))
      throw new BoxshipError('invalidArgument', `unknown type: "${values.type}"`);
    const kinds = values.type === '' ? order : [values.type as Kind];
    return inspectAll(context, operands, values.format, async (name) => {
      for (const kind of kinds) {
        try {
          return await lookups[kind](context.client, name, values.size);
        } catch (error) {
          if (!BoxshipError.is(error, 'notFound')) throw error;
        }
      }
      throw new BoxshipError(
        'notFound',
        values.type === '' ? `Error: No such object: ${name}` : `Error: No such ${values.type}: ${name}`,
      );
    });
  },
});

/** `container inspect`, `image inspect` …: one kind, with the daemon's own words when it is missing. */
export function inspectKind(kind: Kind) {
  return defineCommand({
    usage: `${kind} inspect [OPTIONS] ${kind.toUpperCase()} [${kind.toUpperCase()}...]`,
    short: `Display detailed information on one or more ${kind}s`,
    flags: {
      format: flag.string({ short: 'f', help: 'Format output using a custom template' }),
      size: flag.bool({ short: 's', help: 'Display total file sizes', isHidden: kind !== 'container' }),
    },
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    run: (context, values, operands) =>
      inspectAll(context, operands, values.format, async (name) => {
        try {
          return await lookups[kind](context.client, name, values.size);
        } catch (error) {
          if (!BoxshipError.is(error)) throw error;
          throw new BoxshipError(error.kind, `Error response from daemon: ${error.message}`, { cause: error });
        }
      }),
  });
}

export const containerInspect = inspectKind('container');
export const imageInspect = inspectKind('image');
export const networkInspect = inspectKind('network');
export const volumeInspect = inspectKind('volume');
