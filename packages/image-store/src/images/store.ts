/**
 * The contract of image records: a name and what it points to. Names are full references (`docker.io/library/busybox:1`) but
 * the store does not interpret them. An image record is a root of garbage collection: everything reachable from its target
 * over labels lives as long as the record.
 *
 * Life cycle: create ── update (the tag moves) ── delete. Content is never deleted here.
 *
 * Example
 *   await images.create({ name: 'docker.io/library/busybox:1', target: descriptor, labels: {} });
 *
 * Errors by kind: notFound (`image "x": not found`), alreadyExists (`image "x": already exists`), invalidArgument.
 */
import type { FilterPredicate } from '@boxship/base';
import type { Descriptor } from '@boxship/oci';

export interface Image {
  readonly name: string;
  readonly target: Descriptor;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export type NewImage = Pick<Image, 'name' | 'target' | 'labels'>;

export interface ImageStore {
  /** @throws notFound */
  get(name: string): Promise<Image>;
  /** Records whose fields (`name`, `target.digest`, `target.mediatype`, `labels.…`) match. */
  list(filter?: FilterPredicate): Promise<Image[]>;
  /** @throws alreadyExists */
  create(image: NewImage): Promise<Image>;
  /** Replaces target and labels, or only `fields` (`target`, `labels`, `labels.<key>`). @throws notFound */
  update(image: NewImage, fields?: readonly string[]): Promise<Image>;
  /** @throws notFound */
  delete(name: string): Promise<void>;
}
