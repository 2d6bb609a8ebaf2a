/** Creates a container; an image that is missing is pulled first (`--pull`). */
import { BoxshipError } from '@boxship/base';
import type { ContainerCreateRequest } from '@boxship/engine-api';
import type { CommandContext } from '../../command.ts';
import { credentialsFor } from '../../config-file.ts';
import { splitReference } from '../../options/reference.ts';
import { showProgress } from '../../progress/pull.ts';

export interface CreateOptions {
  readonly name: string;
  readonly platform: string;
  /** `always`, `missing` or `never`. */
  readonly pull: string;
  readonly isQuiet: boolean;
}

/** @returns the container's id; warnings are printed */
export async function createContainer(
  context: CommandContext,
  request: ContainerCreateRequest,
  options: CreateOptions,
): Promise<string> {
  const image = request.Image ?? '';
  if (!['always', 'missing', 'never', ''].includes(options.pull))
    throw new BoxshipError(
      'invalidArgument',
      `invalid pull option: '${options.pull}': must be one of "always", "missing" or "never"`,
    );
  if (options.pull === 'always') await pullImage(context, image, options);
  const create = () =>
    context.client.containers.create(request, {
      name: options.name || undefined,
      platform: options.platform || undefined,
    });
  let answer: Awaited<ReturnType<typeof create>>;
  try {
    answer = await create();
  } catch (error) {
    const isMissing =
      BoxshipError.is(error, 'notFound') && /no such image/i.test(error.message) && options.pull !== 'never';
    if (!isMissing) throw error;
    context.warn(`Unable to find image '${splitReference(image).shown}' locally`);
    await pullImage(context, image, options);
    answer = await create();
  }
  for (const warning of answer.Warnings) context.warn(`WARNING: ${warning}`);
  return answer.Id;
}

async function pullImage(context: CommandContext, image: string, options: CreateOptions): Promise<void> {
  const { name, tag } = splitReference(image);
  const auth = credentialsFor(name);
  const messages = context.client.images.pull(
    { fromImage: name, tag: tag ?? 'latest', platform: options.platform || undefined },
    auth === undefined ? {} : { auth },
  );
  if (options.isQuiet)
    for await (const message of messages) {
      if (message.error !== undefined) throw new BoxshipError('unknown', message.error);
    }
  // progress goes to standard error: standard output is the container's
  else await showProgress(messages, context.stderr);
}
