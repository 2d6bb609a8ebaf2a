/** The field paths by which filters see an image record: the same in every driver. */
import type { FieldLookup } from '@boxship/base';
import type { Image } from './store.ts';

export function imageFields(image: Image): FieldLookup {
  return ([field, ...rest]) => {
    if (field === 'name') return image.name;
    if (field === 'target') {
      if (rest.length !== 1) return undefined;
      if (rest[0] === 'digest') return image.target.digest;
      return rest[0] === 'mediatype' ? image.target.mediaType : undefined;
    }
    if (field === 'labels') return image.labels[rest.join('.')];
    return field === 'annotations' ? image.target.annotations?.[rest.join('.')] : undefined;
  };
}
