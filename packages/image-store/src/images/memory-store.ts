/** Image records in memory, for tests and for tools that pull into nothing lasting. */
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import { checkLabels, updatedLabels } from '../labels.ts';
import { imageFields } from './fields.ts';
import type { Image, ImageStore, NewImage } from './store.ts';

export class MemoryImageStore implements ImageStore {
  readonly #images = new Map<string, Image>();

  async get(name: string): Promise<Image> {
    const image = this.#images.get(name);
    if (image === undefined) throw new BoxshipError('notFound', `image "${name}": not found`);
    return image;
  }

  async list(filter: FilterPredicate = () => true): Promise<Image[]> {
    return [...this.#images.values()].filter((image) => filter(imageFields(image)));
  }

  async create(image: NewImage): Promise<Image> {
    if (image.name === '') throw new BoxshipError('invalidArgument', 'image name must not be empty');
    if (this.#images.has(image.name)) throw new BoxshipError('alreadyExists', `image "${image.name}": already exists`);
    checkLabels(image.labels);
    const now = new Date();
    return this.#put({ ...image, createdAt: now, updatedAt: now });
  }

  async update(image: NewImage, fields?: readonly string[]): Promise<Image> {
    const known = await this.get(image.name);
    checkLabels(image.labels);
    const labelKeys =
      fields?.filter((field) => field.startsWith('labels.')).map((field) => field.slice('labels.'.length)) ?? [];
    const isWhole = fields === undefined || fields.length === 0;
    return this.#put({
      ...known,
      target: isWhole || fields.includes('target') ? image.target : known.target,
      labels:
        isWhole || fields.includes('labels')
          ? { ...image.labels }
          : updatedLabels(known.labels, image.labels, labelKeys),
      updatedAt: new Date(),
    });
  }

  async delete(name: string): Promise<void> {
    if (!this.#images.delete(name)) throw new BoxshipError('notFound', `image "${name}": not found`);
  }

  #put(image: Image): Image {
    this.#images.set(image.name, image);
    return image;
  }
}
