/** The log option `tag`: a Go template over what Docker's log drivers know of a container. */
import { BoxshipError } from '@boxship/base';
import { parseTemplate } from '@boxship/go-template';
import type { ContainerRecord } from '../model.ts';

const shortLength = 12;

/** @throws invalidArgument for a template that cannot be */
export function logTag(record: ContainerRecord, template: string): string {
  const { id, name, imageId, config, path, args, created } = record;
  const short = (text: string): string => text.replace(/^sha256:/, '').slice(0, shortLength);
  const facts = {
    ID: id.slice(0, shortLength),
    FullID: id,
    Name: name,
    ImageID: short(imageId),
    ImageFullID: imageId,
    ImageName: config.Image,
    Command: [path, ...args].join(' '),
    Hostname: config.Hostname,
    DaemonName: 'docker',
    ContainerID: id,
    ContainerName: `/${name}`,
    ContainerImageID: imageId,
    ContainerImageName: config.Image,
    ContainerEntrypoint: path,
    ContainerArgs: args,
    ContainerCreated: created,
    ContainerLabels: config.Labels,
  };
  try {
    return parseTemplate(template).execute(facts, { missing: { typeName: 'logger.Info' } });
  } catch (cause) {
    throw new BoxshipError('invalidArgument', `invalid log tag "${template}": ${(cause as Error).message}`, { cause });
  }
}
